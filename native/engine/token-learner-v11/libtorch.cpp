// TokenLearner v1.1 on libtorch's operators, step by step as it is documented. This engine is the parity
// baseline.

#include "engine/token-learner-v11/engine.hpp"
#include "engine/token-learner/pixel-views.hpp"
#include "engine/torch/abi.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

/// (B, C, P) as (B, C, P, 1), a view.
Tensor as_image(Tensor x) {
  x.shape.push_back(1);
  x.strides.push_back(1);
  return x;
}

/// (B, C, P, 1) as (B, C, P).
Tensor without_width(const Tensor& x) {
  return reshaped(aten::contiguous(x), {x.shape[0], x.shape[1], x.shape[2]});
}

Tensor softmax(const Tensor& x, int64_t dim) {
  return TorchCall("aten::softmax", "int").tensor(TorchTensor::view(x)).integer(dim).none().run().to_tensor();
}

class LibtorchV11Engine final : public TokenLearnerEngine {
 public:
  LibtorchV11Engine(TokenLearnerV11Config config, std::vector<Tensor> parameters)
      : config_(std::move(config)), parameters_(std::move(parameters)) {}

  TokensAndMaps run(const Tensor& x, const ForwardOptions& options) const override {
    const Tensor pixels = flat(x);  // (B, C, P)
    const Tensor normed =
        aten::layer_norm(transposed(pixels), {config_.dim}, &parameters_[0], &parameters_[1], config_.eps);
    const Tensor maps = aten::contiguous(softmax(logits(normed), 2));  // (B, G, P)
    const Tensor tokens = aten::contiguous(product(maps, transposed(values(pixels))));
    return {options.tokens_first ? tokens : aten::contiguous(transposed(tokens)),
            reshaped(maps, {maps.shape[0], maps.shape[1], x.shape[2], x.shape[3]})};
  }

 private:
  Tensor activated(const Tensor& x) const {
    return config_.activation().empty() ? x : aten::gelu(x, config_.activation());
  }

  Tensor grouped(const Tensor& pixels, const Tensor& weight) const {
    aten::Conv2dOptions options;
    options.groups = config_.groups;
    return aten::conv2d(as_image(pixels), weight, nullptr, options);
  }

  /// (B, P, C) -> (B, G, P).
  Tensor logits(const Tensor& normed) const {
    if (!config_.has_value()) {
      const Tensor hidden = aten::linear(normed, parameters_[2], &parameters_[3]);
      return transposed(aten::linear(activated(hidden), parameters_[4], &parameters_[5]));
    }
    const Tensor hidden = activated(grouped(transposed(normed), parameters_[2]));
    return without_width(aten::conv2d(hidden, parameters_[3], nullptr));
  }

  /// What is pooled, (B, C, P).
  Tensor values(const Tensor& pixels) const {
    return config_.has_value() ? without_width(grouped(pixels, parameters_[4])) : pixels;
  }

  TokenLearnerV11Config config_;
  std::vector<Tensor> parameters_;
};

}  // namespace

std::unique_ptr<TokenLearnerEngine> make_libtorch_v11_engine(const TokenLearnerV11Config& config,
                                                             const std::vector<Tensor>& parameters) {
  return std::make_unique<LibtorchV11Engine>(config, parameters);
}

}  // namespace tokenlearner
