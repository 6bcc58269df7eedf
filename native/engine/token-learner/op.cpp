#include "engine/token-learner/op.hpp"

#include "engine/aten.hpp"
#include "engine/error.hpp"

namespace tokenlearner {

namespace {

bool can_fuse(const TokenLearnerConfig& config, Placement placement) {
  if (placement.device.is_cpu()) return config.num_layers == 2;
  return can_fuse_on_cuda(config, placement.dtype, placement.device);
}

/// The rule: 'auto' is fused wherever it can run, and grouped-conv elsewhere; 'fused' never falls back
/// silently.
std::unique_ptr<TokenLearnerEngine> choose_engine(const TokenLearnerConfig& config, Placement placement,
                                                  const std::vector<Tensor>& parameters) {
  const bool fuse = config.engine != "grouped-conv" && can_fuse(config, placement);
  if (config.engine == "fused" && !fuse) {
    throw Error(ErrorCode::ERR_ENGINE_UNSUPPORTED,
                "Engine 'fused' cannot run numLayers " + std::to_string(config.num_layers) + " in " +
                    name_of(placement.dtype) + " on " + placement.device.to_string() +
                    "; engine 'auto' takes 'grouped-conv' here");
  }
  if (!fuse) return make_grouped_conv_engine(config, parameters);
  return placement.device.is_cpu() ? make_fused_cpu_engine(config, parameters)
                                   : make_fused_cuda_engine(config, parameters);
}

/// (..., C, H, W) -> (B, C, H, W): a view where the strides allow it.
Tensor as_batch(const Tensor& input) {
  Tensor merged;
  const int64_t leading = input.dim() - 3;
  if (merge_leading(input, leading, merged)) return merged;
  Tensor copy = aten::clone(input);
  merge_leading(copy, leading, merged);
  return merged;
}

/// (B, rest...) -> (leading..., rest...).
Tensor with_leading(const Tensor& output, const Tensor& input) {
  Dims shape(input.shape.begin(), input.shape.end() - 3);
  shape.insert(shape.end(), output.shape.begin() + 1, output.shape.end());
  return reshaped(output, std::move(shape));
}

}  // namespace

TokenLearnerOp::TokenLearnerOp(TokenLearnerConfig config, Placement placement, std::vector<Tensor> parameters)
    : ConfiguredOp(std::move(config), placement, std::move(parameters)),
      engine_(choose_engine(this->config(), placement, this->parameters())) {}

Outputs TokenLearnerOp::run(const Tensor& input, const RunOptions& options) const {
  if (input.dim() < 3 || input.shape[static_cast<std::size_t>(input.dim() - 3)] != config().dim) {
    throw Error(ErrorCode::ERR_SHAPE_MISMATCH,
                "TokenLearner needs an input (..., " + std::to_string(config().dim) + ", H, W)");
  }
  const TokensAndMaps result = engine_->run(as_batch(input), options.tokens_first, options.return_attention);
  Outputs outputs{with_leading(result.tokens, input)};
  if (options.return_attention) outputs.push_back(with_leading(result.maps, input));
  return outputs;
}

}  // namespace tokenlearner
