// TokenLearner v1.0 on libtorch's operators, step by step as it is documented. This engine is the parity baseline.

#include "engine/token-learner-v10/engine.hpp"
#include "engine/token-learner/pixel-views.hpp"

namespace tokenlearner {

namespace {

/// x / count. A tensor without dimensions does not change the dtype of the result.
Tensor divided(const Tensor& x, int64_t count) {
  const Tensor divisor = Tensor::empty({}, DType::float64);
  *reinterpret_cast<double*>(divisor.data()) = static_cast<double>(count);
  return TorchCall("aten::div", "Tensor")
      .tensor(TorchTensor::view(x))
      .tensor(TorchTensor::view(divisor))
      .run()
      .to_tensor();
}

class LibtorchV10Engine final : public TokenLearnerEngine {
 public:
  LibtorchV10Engine(TokenLearnerV10Config config, std::vector<Tensor> parameters)
      : config_(std::move(config)), parameters_(std::move(parameters)) {}

  TokensAndMaps run(const Tensor& x, const ForwardOptions& options) const override {
    const Tensor pixels = flat(x);  // (B, C, P)
    const Tensor normed =
        aten::layer_norm(transposed(pixels), {config_.dim}, &parameters_[0], &parameters_[1], config_.eps);
    Tensor planes = reshaped(aten::contiguous(transposed(normed)), x.shape);
    for (std::size_t i = 0; i < 4; ++i) {
      aten::Conv2dOptions same;
      same.padding = {1, 1};
      planes = aten::conv2d(i == 0 ? planes : aten::gelu(planes, config_.approximate), parameters_[2 + i],
                            nullptr, same);
    }
    const Tensor maps = aten::contiguous(sigmoid(planes));  // (B, G, H, W)
    Tensor tokens = product(flat(maps), transposed(pixels));
    if (config_.pooling == "mean") tokens = divided(tokens, x.shape[2] * x.shape[3]);
    return {aten::contiguous(options.tokens_first ? tokens : transposed(tokens)), maps};
  }

 private:
  TokenLearnerV10Config config_;
  std::vector<Tensor> parameters_;
};

}  // namespace

std::unique_ptr<TokenLearnerEngine> make_libtorch_v10_engine(const TokenLearnerV10Config& config,
                                                             const std::vector<Tensor>& parameters) {
  return std::make_unique<LibtorchV10Engine>(config, parameters);
}

}  // namespace tokenlearner
