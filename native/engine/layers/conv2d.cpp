// torch.nn.Conv2d. Parameters: weight (O, C / groups, kh, kw) and optionally bias (O).

#include "engine/layers/layers.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

class Conv2dOp final : public ConfiguredOp<Conv2dOp, aten::Conv2dOptions> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(Inputs inputs, const CallOptions&) const override {
    return {aten::contiguous(aten::conv2d(only(inputs), parameter(0), optional_parameter(1), settings()))};
  }
  std::optional<int64_t> joined_rank(int64_t rank) const override {
    return rank == 4 ? std::optional(rank) : std::nullopt;
  }
};

}  // namespace

std::shared_ptr<const Op> make_conv2d(const Config& config, Placement placement, Parameters parameters) {
  aten::Conv2dOptions settings;
  settings.stride = config.integers("stride");
  settings.padding = config.integers("padding");
  settings.dilation = config.integers("dilation");
  settings.groups = config.integer("groups");
  return std::make_shared<Conv2dOp>(std::move(settings), placement, std::move(parameters));
}

}  // namespace tokenlearner
