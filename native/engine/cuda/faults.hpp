// The CUDA runtime's faults as errors.
#pragma once

#include <string>

#include "engine/error.hpp"
#include "kernels/cuda/device.hpp"

namespace tokenlearner {

inline std::string text_of(const kernels::cuda::LastError& last) {
  return std::string(last.text) + " (" + last.name + ")";
}

/// `what` failed, and this is why.
inline Error error_of(const std::string& what, const kernels::cuda::LastError& last) {
  using kernels::cuda::Fault;
  const ErrorCode code = last.fault == Fault::out_of_memory ? ErrorCode::ERR_OUT_OF_MEMORY
                         : last.fault == Fault::device_lost ? ErrorCode::ERR_DEVICE_LOST
                                                            : ErrorCode::ERR_LIBTORCH;
  return Error(code, what + " failed: " + text_of(last));
}

}  // namespace tokenlearner
