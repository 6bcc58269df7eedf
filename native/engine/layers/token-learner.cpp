// The TokenLearner layer. It accepts any leading dimensions and calls an engine that computes (B, C, H, W).
// Parameters: weight and bias of net.0, net.2, ..., in order.

#include "engine/error.hpp"
#include "engine/layers/layers.hpp"
#include "engine/layers/token-pooling.hpp"
#include "engine/token-learner/engine.hpp"

namespace tokenlearner {

namespace {

/// The reason why the fused engine cannot run. Empty if it can.
std::string unsupported_reason(const TokenLearnerConfig& config, Placement placement) {
  if (placement.device.is_cpu()) return "";
  if (config.num_layers != 2) return "on CUDA it is for 2 layers";
  return unsupported_reason_on_cuda(placement.dtype, placement.device);
}

/// Throws unless every layer has one weight and one bias of the configured size and the placement's dtype.
/// Engines read them unchecked.
void check_parameters(const TokenLearnerConfig& config, DType dtype, const std::vector<Tensor>& parameters) {
  const auto groups = static_cast<double>(config.num_output_tokens);
  const auto hidden = static_cast<double>(config.dim) * static_cast<double>(config.ff_mult);
  bool right = is_floating(dtype) && config.dim > 0 && config.ff_mult > 0 && config.num_output_tokens > 0 &&
               config.num_layers > 0 && parameters.size() == 2 * static_cast<std::size_t>(config.num_layers);
  auto inputs = static_cast<double>(config.dim);
  for (std::size_t i = 0; right && i < parameters.size(); i += 2) {
    const double outputs = i + 2 == parameters.size() ? groups : groups * hidden;
    // Computed in floating point: exact for all sizes that fit in memory, and it cannot overflow.
    right = holds(parameters[i], outputs * inputs, dtype) && holds(parameters[i + 1], outputs, dtype);
    inputs = hidden;
  }
  if (!right) {
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE,
                "The parameters do not fit the TokenLearner's configuration");
  }
}

/// The rule: 'auto' means fused if it can run, otherwise grouped-conv. 'fused' never falls back silently.
std::unique_ptr<TokenLearnerEngine> choose_engine(const TokenLearnerConfig& config, Placement placement,
                                                  const std::vector<Tensor>& parameters) {
  check_parameters(config, placement.dtype, parameters);
  if (config.engine == "grouped-conv") return make_grouped_conv_engine(config, parameters);
  if (const std::string why = unsupported_reason(config, placement); !why.empty()) {
    if (config.engine != "fused") return make_grouped_conv_engine(config, parameters);
    throw Error(ErrorCode::ERR_ENGINE_UNSUPPORTED,
                "Engine 'fused' cannot run numLayers " + std::to_string(config.num_layers) + " in " +
                    name_of(placement.dtype) + " on " + placement.device.to_string() + ": " + why +
                    "; engine 'auto' takes 'grouped-conv' here");
  }
  return placement.device.is_cpu() ? make_fused_cpu_engine(config, parameters)
                                   : make_fused_cuda_engine(config, parameters);
}

class TokenLearnerOp final : public TokenPoolingOp<TokenLearnerOp, TokenLearnerConfig> {
 public:
  TokenLearnerOp(TokenLearnerConfig config, Placement placement, Parameters parameters)
      : TokenPoolingOp("TokenLearner", std::move(config), placement, std::move(parameters)) {
    use(choose_engine(settings(), placement, this->parameters()));
  }
};

}  // namespace

std::shared_ptr<const Op> make_token_learner(const Config& config, Placement placement,
                                             Parameters parameters) {
  TokenLearnerConfig settings;
  settings.dim = config.integer("dim");
  settings.ff_mult = config.integer("ffMult");
  settings.num_output_tokens = config.integer("numOutputTokens");
  settings.num_layers = config.integer("numLayers");
  settings.engine = config.string("engine");
  settings.intra_op_threads = static_cast<int>(config.integer("intraOpThreads"));
  settings.allow_tf32 = config.boolean("allowTf32");
  return std::make_shared<TokenLearnerOp>(std::move(settings), placement, std::move(parameters));
}

}  // namespace tokenlearner
