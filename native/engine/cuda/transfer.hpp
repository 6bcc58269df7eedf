// Copies that run while nobody waits for them, by the CUDA runtime of the kernels. Builds without the kernels have none.
//
// Note: [Copies in flight]
// A request's copies follow its kernels on the lane's stream, and only the end of the request is waited for: synchronize() in
// stream.hpp. libtorch can start copies too, but it attaches an event to the page-locked block and records it when the block is
// freed. On a broken device this throws in a destructor, which ends the process. So libtorch's own copies are waited for, one by
// one. These here keep their host memory until the next synchronize() of the thread, also if the request fails before it.
#pragma once

#include <cstddef>

#include "engine/memory/tensor.hpp"

namespace tokenlearner {

/// True if start_copy() can be called for the device. Any thread.
bool can_start_copies(Device device);

/// Starts a copy between page-locked host memory and the device, on this thread's stream. `host` is the memory that the copy reads or
/// writes: it lives until synchronize(device). Throws ERR_DEVICE_LOST, ERR_OUT_OF_MEMORY or ERR_LIBTORCH.
void start_copy(Device device, const Storage& host, void* target, const void* source, std::size_t bytes);

}  // namespace tokenlearner
