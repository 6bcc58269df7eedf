// torch.nn.LayerNorm. Parameters: weight and bias (normalizedShape), or none without the affine part.

#include "engine/layers/layers.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

struct Settings {
  Dims normalized_shape;
  double eps = 1e-5;
};

class LayerNormOp final : public ConfiguredOp<LayerNormOp, Settings> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(Inputs inputs, const CallOptions&) const override {
    return {aten::contiguous(aten::layer_norm(only(inputs), settings().normalized_shape,
                                              optional_parameter(0), optional_parameter(1), settings().eps))};
  }
  std::optional<int64_t> joined_rank(int64_t rank) const override {
    return rank > static_cast<int64_t>(settings().normalized_shape.size()) ? std::optional(rank)
                                                                           : std::nullopt;
  }
};

}  // namespace

std::shared_ptr<const Op> make_layer_norm(const Config& config, Placement placement, Parameters parameters) {
  Settings settings{config.integers("normalizedShape"), config.number("eps")};
  return std::make_shared<LayerNormOp>(std::move(settings), placement, std::move(parameters));
}

}  // namespace tokenlearner
