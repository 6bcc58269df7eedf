// The strided, converting copy of the CPU.
#pragma once

#include <cstdint>

#include "kernels/dtype.hpp"
#include "kernels/status.hpp"

namespace tokenlearner::kernels {

/** All strides are in elements, not bytes. */
struct CopyParams {
  const void* source = nullptr;
  DType source_dtype = DType::float32;
  void* target = nullptr;
  DType target_dtype = DType::float32;
  /** At most kMostDimensions. */
  int rank = 0;
  const std::int64_t* shape = nullptr;
  /** Any: also 0 (the element repeats) and negative. */
  const std::int64_t* source_strides = nullptr;
  /**
   * Not negative. Each stride reaches over the dimensions with smaller strides, as in a contiguous tensor, in
   * any permutation of one, and in a slice of one.
   */
  const std::int64_t* target_strides = nullptr;

  static constexpr int kMostDimensions = 64;
};

/**
 * target[i...] = source[i...] for every element, converted as in Note [Conversions] in convert-run.hpp. Runs on
 * the calling thread and waits for no other. The memory read and the memory written must not overlap.
 * `invalid_argument` for a rank, a size or target strides that are not as stated above; then nothing was
 * written.
 */
Status strided_copy(const CopyParams& params) noexcept;

}  // namespace tokenlearner::kernels
