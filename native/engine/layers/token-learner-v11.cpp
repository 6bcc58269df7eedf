// The TokenLearner v1.1 layer. It accepts any leading dimensions and calls an engine that computes (B, C, H, W).
// Parameters: see token-learner-v11/engine.hpp.

#include "engine/error.hpp"
#include "engine/layers/layers.hpp"
#include "engine/layers/token-pooling.hpp"
#include "engine/token-learner-v11/engine.hpp"

namespace tokenlearner {

namespace {

/// Throws unless each parameter has its size and the placement's dtype. Engines read them unchecked.
void check_parameters(const TokenLearnerV11Config& config, DType dtype,
                      const std::vector<Tensor>& parameters) {
  const auto dim = static_cast<double>(config.dim);
  const auto hidden = static_cast<double>(config.hidden());
  const auto tokens = static_cast<double>(config.num_output_tokens);
  const bool sizes = config.dim > 0 && config.hidden() > 0 && config.num_output_tokens > 0 &&
                     config.groups > 0 && config.dim % config.groups == 0 && is_floating(dtype);
  const double grouped = sizes ? dim * (dim / static_cast<double>(config.groups)) : 0;
  const std::vector<double> counts =
      config.has_value() ? std::vector<double>{dim, dim, grouped, tokens * dim, grouped}
                         : std::vector<double>{dim, dim, hidden * dim, hidden, tokens * hidden, tokens};
  if (!sizes || !hold(parameters, counts, dtype)) {
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE,
                "The parameters do not fit the TokenLearnerV11's configuration");
  }
}

/// The reason why the fused engine cannot run. Empty if it can.
std::string unsupported_reason(const TokenLearnerV11Config& config, Placement placement) {
  if (placement.device.is_cpu()) return "";
  if (config.has_value()) return "on CUDA it is for variant 'd'";
  return unsupported_reason_on_cuda(placement.dtype, placement.device);
}

std::unique_ptr<TokenLearnerEngine> choose_engine(const TokenLearnerV11Config& config, Placement placement,
                                                  const std::vector<Tensor>& parameters) {
  check_parameters(config, placement.dtype, parameters);
  if (!takes_fused("TokenLearnerV11", config.engine, placement, unsupported_reason(config, placement)))
    return make_libtorch_v11_engine(config, parameters);
  return placement.device.is_cpu() ? make_fused_cpu_v11_engine(config, parameters)
                                   : make_fused_cuda_v11_engine(config, parameters);
}

class TokenLearnerV11Op final : public TokenPoolingOp<TokenLearnerV11Op, TokenLearnerV11Config> {
 public:
  TokenLearnerV11Op(TokenLearnerV11Config config, Placement placement, Parameters parameters)
      : TokenPoolingOp("TokenLearnerV11", std::move(config), placement, std::move(parameters)) {
    use(choose_engine(settings(), placement, this->parameters()));
  }
};

}  // namespace

std::shared_ptr<const Op> make_token_learner_v11(const Config& config, Placement placement,
                                                 Parameters parameters) {
  TokenLearnerV11Config settings;
  settings.dim = config.integer("dim");
  settings.num_output_tokens = config.integer("numOutputTokens");
  settings.bottleneck_dim = config.integer("bottleneckDim");
  settings.groups = config.integer("groups");
  settings.eps = config.number("eps");
  settings.approximate = config.string("approximate");
  settings.variant = config.string("variant");
  settings.engine = config.string("engine");
  settings.intra_op_threads = static_cast<int>(config.integer("intraOpThreads"));
  settings.allow_tf32 = config.boolean("allowTf32");
  return std::make_shared<TokenLearnerV11Op>(std::move(settings), placement, std::move(parameters));
}

}  // namespace tokenlearner
