// Copies between host memory and a GPU. They use page-locked memory, so that they run in parallel with
// computation. The pool is libtorch's caching host allocator: it reuses a block when the copies that read or
// wrote it are done.
#pragma once

#include "engine/memory/tensor.hpp"

namespace tokenlearner {

/// New page-locked host memory. Precondition: CUDA is available. Throws ERR_OUT_OF_MEMORY.
Tensor empty_pinned(const Dims& shape, DType dtype);

/// `host` itself if it is page-locked and contiguous, otherwise such a copy of it.
Tensor staged(const Tensor& host);

/// A contiguous copy on `device`, made on this thread's stream: complete only after synchronize(device).
/// Pageable memory is first copied to page-locked memory.
Tensor upload(const Tensor& host, Device device);

/// A contiguous copy in page-locked host memory, made on this thread's stream: complete only after
/// synchronize().
Tensor download(const Tensor& tensor);

}  // namespace tokenlearner
