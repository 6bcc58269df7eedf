// The properties of a device, and the meaning of the CUDA runtime's errors, without its headers.
//
// These functions print nothing, never throw, and are safe on a machine without a GPU or driver.
#pragma once

#include <cstdint>

#include "kernels/cuda/token-learner-cuda.hpp"
#include "kernels/status.hpp"

namespace tokenlearner::kernels::cuda {

Status device_properties(int device, DeviceProperties* properties);

/** How a failed call affects later calls. */
enum class Fault : std::int8_t {
  none,
  /** This call failed. Later calls can succeed. */
  out_of_memory,
  /**
   * There is no code for this device or this driver, or the device has too few resources for the launch.
   * Another engine can compute the same. An argument that CUDA rejects is `other`: it is a mistake in the
   * kernels' launchers.
   */
  launch_refused,
  /** The context is broken until the process ends: illegal address, failed launch, uncorrectable memory... */
  device_lost,
  other,
};
/** `error` is a cudaError_t. */
Fault classify(int error);
/** ok, out_of_memory or device_error. Stores the error for last_error() and clears it in the CUDA runtime. */
Status status_of(int error);

/** The last error of these kernels' functions on this thread. {0, "no error"} if there was none. */
struct LastError {
  int code = 0;
  Fault fault = Fault::none;
  const char* name = "";
  const char* text = "";
};
LastError last_error();

}  // namespace tokenlearner::kernels::cuda
