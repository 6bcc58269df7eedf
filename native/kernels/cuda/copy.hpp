// Copies by the CUDA runtime, without its headers.
#pragma once

#include <cstddef>

#include "kernels/status.hpp"

namespace tokenlearner::kernels::cuda {

/**
 * Starts a copy between page-locked host memory and a device on `stream`, a cudaStream_t. It has ended when the stream has. ok,
 * out_of_memory or device_error: see last_error() in device.hpp.
 */
Status copy_async(void* target, const void* source, std::size_t bytes, void* stream);

}  // namespace tokenlearner::kernels::cuda
