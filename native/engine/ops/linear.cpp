#include "engine/ops/linear.hpp"

#include <cstdint>

#include "engine/aten.hpp"

namespace tokenlearner {

namespace {

constexpr std::uintptr_t kAlignment = 64;  // As Storage::allocate gives.

/// The BLAS under libtorch sums in another order for memory of another alignment and, on some processors, of
/// other strides. JavaScript's memory has any alignment: made uniform here, forward (which copies it),
/// forwardSync (which does not) and views give the same bits.
Tensor uniform(const Tensor& input) {
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(input.data()) % kAlignment == 0;
  if (input.device().is_cuda() || (is_aligned && input.is_contiguous())) return input;
  return aten::clone(input);
}

}  // namespace

Outputs LinearOp::run(const Tensor& input, const RunOptions&) const {
  return {aten::contiguous(aten::linear(uniform(input), parameter(0), optional_parameter(1)))};
}

}  // namespace tokenlearner
