// The CUDA runtime without its headers: device detection, memory, streams, events, and the meaning of errors.
//
// These functions print nothing, never throw, and are safe on a machine without a GPU or driver.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/token-learner-cuda.hpp"
#include "kernels/status.hpp"

namespace tokenlearner::kernels::cuda {

/** The reason why CUDA cannot be used, or `available`. */
enum class Availability : std::int8_t {
  available,
  no_driver,
  driver_too_old,
  no_device,
  /** CUDA_VISIBLE_DEVICES hides every device. */
  no_visible_device,
  out_of_memory,
  driver_error,
};

/** "available", "no-driver", "driver-too-old", ... */
const char* name_of(Availability availability);

struct Probe {
  Availability availability = Availability::no_driver;
  int device_count = 0;
  /** In CUDA's notation: 13000 is 13.0. 0 if unknown. */
  int driver_version = 0;
  int runtime_version = 0;
  /** The CUDA runtime's own error number and message. */
  int error = 0;
  const char* error_text = "";
};
Probe probe();

struct DeviceDescription {
  DeviceProperties properties;
  char name[256] = "";
  std::size_t total_memory = 0;  // bytes
};
Status describe_device(int device, DeviceDescription* description);

/** How a failed call affects later calls. */
enum class Fault : std::int8_t {
  none,
  /** This call failed. Later calls can succeed. */
  out_of_memory,
  /**
   * The device rejected a launch: invalid configuration, or no code for this device. Later calls can succeed.
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

Status set_device(int device);

Status allocate_pinned(std::size_t bytes, void** memory);
Status free_pinned(void* memory);
/** On the current device. */
Status allocate_device(std::size_t bytes, void** memory);
Status free_device(void* memory);

enum class CopyKind : std::int8_t { host_to_device, device_to_host, device_to_device };
Status copy_async(void* target, const void* source, std::size_t bytes, CopyKind kind, void* stream);

/** A stream that does not wait for the legacy default stream. */
Status create_stream(void** stream);
Status destroy_stream(void* stream);
Status synchronize_stream(void* stream);
/** `timed` events cost more. */
Status create_event(bool timed, void** event);
Status destroy_event(void* event);
Status record_event(void* event, void* stream);
Status wait_event(void* stream, void* event);
/** `done` is false while the work before the event is in progress. */
Status query_event(void* event, bool* done);
Status synchronize_event(void* event);
Status elapsed_milliseconds(void* start, void* end, float* milliseconds);

}  // namespace tokenlearner::kernels::cuda
