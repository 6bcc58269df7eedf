// Host memory on its way to a GPU and back: page-locked, so that copies run beside computation. libtorch's
// caching host allocator is the pool: a block is used again once the copies that read or wrote it are done.
#pragma once

#include "engine/tensor.hpp"

namespace tokenlearner {

/// New page-locked host memory. Precondition: CUDA is available. Throws ERR_OUT_OF_MEMORY.
Tensor empty_pinned(const Dims& shape, DType dtype);

/// A contiguous copy on `device`, on this thread's stream: complete only after synchronize(device). Pageable
/// memory goes through a page-locked copy first.
Tensor upload(const Tensor& host, Device device);

/// A contiguous copy in page-locked host memory, on this thread's stream: complete only after synchronize().
Tensor download(const Tensor& tensor);

}  // namespace tokenlearner
