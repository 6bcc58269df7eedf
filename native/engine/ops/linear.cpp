#include "engine/ops/linear.hpp"

#include <cstdint>

#include "engine/aten.hpp"

namespace tokenlearner {

namespace {

constexpr std::uintptr_t kAlignment = 64;  // As Storage::allocate gives.

/// The BLAS under libtorch sums in another order for memory of another alignment. JavaScript's memory has
/// any: aligned here, forward (which copies it) and forwardSync (which does not) give the same bits.
Tensor aligned(const Tensor& input) {
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(input.data()) % kAlignment == 0;
  return input.device().is_cuda() || is_aligned ? input : aten::clone(input);
}

}  // namespace

Outputs LinearOp::run(const Tensor& input, const RunOptions&) const {
  return {aten::contiguous(aten::linear(aligned(input), parameter(0), optional_parameter(1)))};
}

}  // namespace tokenlearner
