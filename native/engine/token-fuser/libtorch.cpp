// TokenFuser on libtorch's operators, step by step as it is documented. This engine is the parity baseline.

#include "engine/token-fuser/engine.hpp"
#include "engine/token-learner/pixel-views.hpp"

namespace tokenlearner {

namespace {

class LibtorchFuserEngine final : public TokenFuserEngine {
 public:
  LibtorchFuserEngine(TokenFuserConfig config, std::vector<Tensor> parameters)
      : config_(std::move(config)), parameters_(std::move(parameters)) {}

  OutputAndMaps run(const Tensor& tokens, const Tensor& original, bool channels_last,
                    const ForwardOptions& options) const override {
    const Tensor weights = pixel_weights(flat(original));             // (B, P, G)
    const Tensor sums = product(weights, mixed(transposed(tokens)));  // (B, P, C)
    const int64_t batch = original.shape[0], height = original.shape[2], width = original.shape[3];
    OutputAndMaps result;
    result.output = channels_last
                        ? reshaped(aten::contiguous(sums), {batch, height, width, config_.dim})
                        : reshaped(aten::contiguous(transposed(sums)), {batch, config_.dim, height, width});
    if (options.return_attention)
      result.maps =
          reshaped(aten::contiguous(transposed(weights)), {batch, config_.num_tokens, height, width});
    return result;
  }

 private:
  const Tensor& parameter(std::size_t after_norms) const {
    return parameters_[config_.first_mix() + after_norms];
  }

  Tensor normalised(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
    return aten::layer_norm(x, {config_.dim}, &weight, &bias, config_.eps);
  }

  /// (B, G, C) -> (B, G, C).
  Tensor mixed(const Tensor& tokens) const {
    const bool has_norms = config_.use_normalization;
    const Tensor normed = has_norms ? normalised(tokens, parameters_[0], parameters_[1]) : tokens;
    const Tensor sums = transposed(aten::linear(transposed(normed), parameter(0), &parameter(1)));
    return has_norms ? normalised(sums, parameters_[2], parameters_[3]) : sums;
  }

  /// (B, C, P) -> (B, P, G).
  Tensor pixel_weights(const Tensor& pixels) const {
    const Tensor normed = normalised(transposed(pixels), parameter(2), parameter(3));
    const Tensor hidden = aten::gelu(aten::linear(normed, parameter(4), &parameter(5)), config_.approximate);
    return sigmoid(aten::linear(hidden, parameter(6), &parameter(7)));
  }

  TokenFuserConfig config_;
  std::vector<Tensor> parameters_;
};

}  // namespace

std::unique_ptr<TokenFuserEngine> make_libtorch_fuser_engine(const TokenFuserConfig& config,
                                                             const std::vector<Tensor>& parameters) {
  return std::make_unique<LibtorchFuserEngine>(config, parameters);
}

}  // namespace tokenlearner
