// torch.nn.GELU. No parameters.

#include <string>

#include "engine/layers/layers.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

struct Settings {
  /// "none" (exact, erf) or "tanh".
  std::string approximate;
};

class GeluOp final : public ConfiguredOp<GeluOp, Settings> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(Inputs inputs, const CallOptions&) const override {
    return {aten::contiguous(aten::gelu(only(inputs), settings().approximate))};
  }
  std::optional<int64_t> joined_rank(int64_t rank) const override { return rank; }
};

}  // namespace

std::shared_ptr<const Op> make_gelu(const Config& config, Placement placement, Parameters parameters) {
  return std::make_shared<GeluOp>(Settings{config.string("approximate")}, placement, std::move(parameters));
}

}  // namespace tokenlearner
