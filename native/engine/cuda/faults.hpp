// The error codes of the CUDA runtime's faults.
#pragma once

#include "engine/error.hpp"
#include "kernels/cuda/device.hpp"

namespace tokenlearner {

inline ErrorCode code_of(kernels::cuda::Fault fault) {
  switch (fault) {
    case kernels::cuda::Fault::out_of_memory:
      return ErrorCode::ERR_OUT_OF_MEMORY;
    case kernels::cuda::Fault::device_lost:
      return ErrorCode::ERR_DEVICE_LOST;
    default:
      return ErrorCode::ERR_LIBTORCH;
  }
}

}  // namespace tokenlearner
