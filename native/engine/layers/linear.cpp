// torch.nn.Linear. Parameters: weight (out, in) and optionally bias (out).

#include <cstdint>

#include "engine/layers/layers.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

constexpr std::uintptr_t kAlignment = 64;  // Bytes: the alignment of Storage::allocate.

/// The BLAS library under libtorch sums in a different order if the alignment differs and, on some
/// processors, if the strides differ. JavaScript's memory can have any alignment. Inputs are made uniform
/// here. So forward (which copies them), forwardSync (which does not) and views give the same bits.
Tensor uniform(const Tensor& input) {
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(input.data()) % kAlignment == 0;
  if (input.device().is_cuda() || (is_aligned && input.is_contiguous())) return input;
  return aten::clone(input);
}

struct Settings {};

class LinearOp final : public ConfiguredOp<LinearOp, Settings> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(Inputs inputs, const CallOptions&) const override {
    return {aten::contiguous(aten::linear(uniform(only(inputs)), parameter(0), optional_parameter(1)))};
  }
  std::optional<int64_t> joined_rank(int64_t rank) const override {
    return rank >= 2 ? std::optional(rank) : std::nullopt;
  }
};

}  // namespace

std::shared_ptr<const Op> make_linear(const Config&, Placement placement, Parameters parameters) {
  return std::make_shared<LinearOp>(Settings{}, placement, std::move(parameters));
}

}  // namespace tokenlearner
