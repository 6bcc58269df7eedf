// The TokenLearner v1.0 layer. Parameters: see token-learner-v10/engine.hpp.

#include "engine/error.hpp"
#include "engine/layers/layers.hpp"
#include "engine/layers/token-pooling.hpp"
#include "engine/token-learner-v10/engine.hpp"

namespace tokenlearner {

namespace {

/// Throws unless each parameter has its size and the placement's dtype. Engines read them unchecked.
void check_parameters(const TokenLearnerV10Config& config, DType dtype,
                      const std::vector<Tensor>& parameters) {
  const auto dim = static_cast<double>(config.dim);
  const auto tokens = static_cast<double>(config.num_output_tokens);
  const bool sizes = config.dim > 0 && config.num_output_tokens > 0 && is_floating(dtype);
  const double square = tokens * tokens * 9;
  if (sizes && hold(parameters, {dim, dim, tokens * dim * 9, square, square, square}, dtype)) return;
  throw Error(ErrorCode::ERR_INVALID_ARG_VALUE,
              "The parameters do not fit the TokenLearnerV10's configuration");
}

std::unique_ptr<TokenLearnerEngine> choose_engine(const TokenLearnerV10Config& config, Placement placement,
                                                  const std::vector<Tensor>& parameters) {
  check_parameters(config, placement.dtype, parameters);
  const bool on_cpu = placement.device.is_cpu();
  const std::string why = on_cpu ? "" : unsupported_reason_on_cuda(placement.dtype, placement.device);
  if (!takes_fused("TokenLearnerV10", config.engine, placement, why))
    return make_libtorch_v10_engine(config, parameters);
  return on_cpu ? make_fused_cpu_v10_engine(config, parameters)
                : make_fused_cuda_v10_engine(config, parameters);
}

class TokenLearnerV10Op final : public TokenPoolingOp<TokenLearnerV10Op, TokenLearnerV10Config> {
 public:
  TokenLearnerV10Op(TokenLearnerV10Config config, Placement placement, Parameters parameters)
      : TokenPoolingOp("TokenLearnerV10", std::move(config), placement, std::move(parameters)) {
    use(choose_engine(settings(), placement, this->parameters()));
  }
};

}  // namespace

std::shared_ptr<const Op> make_token_learner_v10(const Config& config, Placement placement,
                                                 Parameters parameters) {
  TokenLearnerV10Config settings;
  settings.dim = config.integer("dim");
  settings.num_output_tokens = config.integer("numOutputTokens");
  settings.pooling = config.string("pooling");
  settings.eps = config.number("eps");
  settings.approximate = config.string("approximate");
  settings.engine = config.string("engine");
  settings.intra_op_threads = static_cast<int>(config.integer("intraOpThreads"));
  settings.allow_tf32 = config.boolean("allowTf32");
  return std::make_shared<TokenLearnerV10Op>(std::move(settings), placement, std::move(parameters));
}

}  // namespace tokenlearner
