// The documented computation of TokenLearner, with the same steps as the Python class: repeat x G times along
// channels -> grouped 1x1 convolutions with GELU between -> A; then the mean over pixels of x * A as (B, C,
// G, H, W). This engine is the parity baseline: all others compute the same numbers without the repeat.

#include "engine/token-learner/engine.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

class GroupedConvEngine final : public TokenLearnerEngine {
 public:
  GroupedConvEngine(const TokenLearnerConfig& config, std::vector<Tensor> parameters)
      : groups_(config.num_output_tokens),
        allow_tf32_(config.allow_tf32),
        parameters_(std::move(parameters)) {}

  TokensAndMaps run(const Tensor& x, const ForwardOptions& options) const override {
    const Tensor repeated = aten::repeat(x, {1, groups_, 1, 1});
    Tensor maps = aten::contiguous(attention(repeated));
    return {tokens(repeated, maps, options.tokens_first), maps};
  }

 private:
  /// (B, G*C, H, W) -> (B, G, H, W).
  Tensor attention(const Tensor& repeated) const {
    aten::Conv2dOptions grouped;
    grouped.groups = groups_;
    grouped.allow_tf32 = allow_tf32_;
    Tensor h = repeated;
    for (std::size_t i = 0; i < parameters_.size(); i += 2) {
      if (i > 0) h = aten::gelu(h);
      h = aten::conv2d(h, parameters_[i], &parameters_[i + 1], grouped);
    }
    return h;
  }

  /// Mean over pixels of x * A, with x as (B, G, C, H, W) and A as (B, G, 1, H, W).
  Tensor tokens(const Tensor& repeated, const Tensor& maps, bool tokens_first) const {
    const int64_t batch = maps.shape[0];
    const int64_t height = maps.shape[2];
    const int64_t width = maps.shape[3];
    const Tensor x5 =
        reshaped(aten::contiguous(repeated), {batch, groups_, repeated.shape[1] / groups_, height, width});
    const Tensor a5 = reshaped(maps, {batch, groups_, 1, height, width});
    Tensor mean = aten::contiguous(aten::mean(aten::mul(x5, a5), {3, 4}));  // (B, G, C)
    if (tokens_first) return mean;
    std::swap(mean.shape[1], mean.shape[2]);
    std::swap(mean.strides[1], mean.strides[2]);
    return aten::contiguous(mean);
  }

  int64_t groups_;
  bool allow_tf32_;
  std::vector<Tensor> parameters_;
};

}  // namespace

std::unique_ptr<TokenLearnerEngine> make_grouped_conv_engine(const TokenLearnerConfig& config,
                                                             const std::vector<Tensor>& parameters) {
  return std::make_unique<GroupedConvEngine>(config, parameters);
}

}  // namespace tokenlearner
