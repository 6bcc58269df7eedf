#pragma once

#include <span>

#include "engine/memory/tensor.hpp"

namespace tokenlearner {

/// A new contiguous tensor with the elements of `source` in another dtype. Both are in host memory. Runs on the calling
/// thread, waits for no other, and needs no libtorch. The numbers are those of PyTorch's Tensor.to: see Note
/// [Conversions] in kernels/cpu/convert-run.hpp. Throws ERR_OUT_OF_MEMORY.
Tensor copied(const Tensor& source, DType dtype);

/// The same into the memory of `target`, in its dtype and strides. The shapes are equal. The two do not overlap.
/// Precondition: the elements of `target` are distinct.
void copy_into(const Tensor& target, const Tensor& source);

/// Bytes that one thread copies in some tens of microseconds: a good size of one of many copies.
inline constexpr int64_t kCopyTaskBytes = 256 << 10;

struct CopyPair {
  Tensor target, source;
};

/// copy_into() for each pair, by several threads if there is much to copy. The targets do not overlap. Waits for threads of the
/// compute pool.
void copy_all(std::span<const CopyPair> pairs);

}  // namespace tokenlearner
