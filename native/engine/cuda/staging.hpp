// Copies between host memory and a GPU. They use page-locked memory, so that they run in parallel with
// computation. The pool is libtorch's caching host allocator: it reuses a block that was freed.
#pragma once

#include <cstddef>
#include <vector>

#include "engine/memory/copy.hpp"

namespace tokenlearner {

/// New page-locked host memory. Precondition: CUDA is available. Throws ERR_OUT_OF_MEMORY.
Tensor empty_pinned(const Dims& shape, DType dtype);

/// New host memory, page-locked if `pinned`. Precondition of that: CUDA is available. Throws ERR_OUT_OF_MEMORY.
Storage host_storage(std::size_t bytes, bool pinned);

/// Fills a contiguous tensor on a GPU from tensors in host memory, one after the other. Page-locked memory is read where it is. Other
/// memory is first gathered in page-locked memory, by several threads if there is much of it, while the part before is on its way.
/// All on this thread's stream: complete only after synchronize(device). Throws ERR_OUT_OF_MEMORY, ERR_DEVICE_LOST or ERR_LIBTORCH.
class Upload {
 public:
  explicit Upload(Tensor target);

  /// The next elements. `part` has the target's dtype. Its memory lives until finish().
  void add(const Tensor& part);
  /// Starts what is left.
  void finish() { flush(); }

 private:
  int64_t bytes_of(int64_t count) const;
  void add_rows(const Tensor& source, int64_t rows_per_task);
  /// Starts the copy of the next `count` elements, from page-locked memory.
  void send(const Tensor& from, int64_t count);
  /// Gathers and sends what was added.
  void flush();

  Tensor target_;
  /// As many elements as the target. Not there before it is needed.
  Tensor host_;
  bool starts_copies_;
  /// To page-locked memory.
  std::vector<CopyPair> pieces_;
  /// The elements that were sent, and those that were sent or are in `pieces_`.
  int64_t sent_ = 0;
  int64_t filled_ = 0;
};

/// A contiguous copy on `device`, as by Upload.
Tensor upload(const Tensor& host, Device device);

/// A contiguous copy in page-locked host memory, made on this thread's stream: complete only after
/// synchronize().
Tensor download(const Tensor& tensor);

}  // namespace tokenlearner
