// The TokenFuser layer. Its inputs are tokens and the original image. It accepts any leading dimensions and calls an engine that
// computes (B, C, H, W). Parameters: see token-fuser/engine.hpp.

#include "engine/token-fuser/engine.hpp"

#include "engine/error.hpp"
#include "engine/layers/layers.hpp"
#include "engine/layers/token-call.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

/// Throws unless each parameter has its size and the placement's dtype. Engines read them unchecked.
void check_parameters(const TokenFuserConfig& config, DType dtype, const std::vector<Tensor>& parameters) {
  const auto dim = static_cast<double>(config.dim);
  const auto hidden = static_cast<double>(config.bottleneck_dim);
  const auto tokens = static_cast<double>(config.num_tokens);
  const bool sizes =
      config.dim > 0 && config.bottleneck_dim > 0 && config.num_tokens > 0 && is_floating(dtype);
  std::vector<double> counts(config.first_mix(), dim);
  counts.insert(counts.end(),
                {tokens * tokens, tokens, dim, dim, hidden * dim, hidden, tokens * hidden, tokens});
  if (sizes && hold(parameters, counts, dtype)) return;
  throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "The parameters do not fit the TokenFuser's configuration");
}

std::unique_ptr<TokenFuserEngine> choose_engine(const TokenFuserConfig& config, Placement placement,
                                                const std::vector<Tensor>& parameters) {
  check_parameters(config, placement.dtype, parameters);
  const bool on_cpu = placement.device.is_cpu();
  const std::string why = on_cpu ? "" : unsupported_reason_on_cuda(placement.dtype, placement.device);
  if (!takes_fused("TokenFuser", config.engine, placement, why))
    return make_libtorch_fuser_engine(config, parameters);
  return on_cpu ? make_fused_cpu_fuser_engine(config, parameters)
                : make_fused_cuda_fuser_engine(config, parameters);
}

/// Tokens (..., C, G), or (..., G, C), as (B, C, G): a view if the strides allow it, otherwise a copy. Throws ERR_SHAPE_MISMATCH.
Tensor token_batch(Tensor tokens, bool tokens_first, const Dims& leading, const TokenFuserConfig& config) {
  const std::size_t dims = tokens.shape.size();
  if (dims >= 2 && tokens_first) {
    std::swap(tokens.shape[dims - 2], tokens.shape[dims - 1]);
    std::swap(tokens.strides[dims - 2], tokens.strides[dims - 1]);
  }
  Dims expected = leading;
  expected.insert(expected.end(), {config.dim, config.num_tokens});
  if (tokens.shape != expected)
    throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "The tokens of a TokenFuser do not fit its original");
  Tensor result;
  if (merge_leading(tokens, tokens.dim() - 2, result)) return result;
  merge_leading(aten::clone(tokens), tokens.dim() - 2, result);
  return result;
}

class TokenFuserOp final : public ConfiguredOp<TokenFuserOp, TokenFuserConfig> {
 public:
  TokenFuserOp(TokenFuserConfig config, Placement placement, Parameters parameters)
      : ConfiguredOp(std::move(config), placement, std::move(parameters)),
        engine_(choose_engine(settings(), placement, this->parameters())) {}

  Outputs run(Inputs inputs, const CallOptions& options) const override {
    if (inputs.size() != 2)
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A TokenFuser takes tokens and their original");
    for (const Tensor& input : inputs) check_dtype(input, placement().dtype, "TokenFuser");
    const ImageOrder order = ImageOrder::of(options);
    const ImageBatch batch = image_batch(inputs[1], order, settings().dim, "TokenFuser");
    const ForwardOptions forward = forward_options(options);
    const Tensor tokens = token_batch(inputs[0], forward.tokens_first, batch.leading, settings());
    const OutputAndMaps result = engine_->run(tokens, batch.images, order.channels_last, forward);
    Outputs outputs{reshaped(result.output, inputs[1].shape)};
    if (forward.return_attention) outputs.push_back(batch.maps(result.maps));
    return outputs;
  }

  std::vector<std::size_t> result_bytes(std::span<const Dims> inputs,
                                        const CallOptions& options) const override {
    if (inputs.size() != 2 || placement().device.is_cuda()) return {};
    const ImageOrder order = ImageOrder::of(options);
    if (inputs[1].size() < order.rank()) return {};
    const ImageCount count = count_images(inputs[1], order);
    const std::size_t values =
        static_cast<std::size_t>(count.images * count.pixels) * item_size(placement().dtype);
    std::vector<std::size_t> bytes{values * static_cast<std::size_t>(settings().dim)};
    if (options.values.boolean("returnAttention", false))
      bytes.push_back(values * static_cast<std::size_t>(settings().num_tokens));
    return bytes;
  }

  bool runs_inline(Inputs inputs) const override {
    return inputs.size() == 2 && engine_->runs_inline(inputs[1].numel());
  }

 private:
  std::unique_ptr<TokenFuserEngine> engine_;
};

}  // namespace

std::shared_ptr<const Op> make_token_fuser(const Config& config, Placement placement, Parameters parameters) {
  TokenFuserConfig settings;
  settings.dim = config.integer("dim");
  settings.num_tokens = config.integer("numTokens");
  settings.bottleneck_dim = config.integer("bottleneckDim");
  settings.use_normalization = config.boolean("useNormalization");
  settings.eps = config.number("eps");
  settings.approximate = config.string("approximate");
  settings.engine = config.string("engine");
  settings.intra_op_threads = static_cast<int>(config.integer("intraOpThreads"));
  settings.allow_tf32 = config.boolean("allowTf32");
  return std::make_shared<TokenFuserOp>(std::move(settings), placement, std::move(parameters));
}

}  // namespace tokenlearner
