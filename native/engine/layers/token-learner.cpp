// The TokenLearner layer. It accepts any leading dimensions and calls an engine that computes (B, C, H, W).
// Parameters: weight and bias of net.0, net.2, ..., in order.

#include "engine/error.hpp"
#include "engine/layers/layers.hpp"
#include "engine/token-learner/engine.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

/// The reason why the fused engine cannot run. Empty if it can.
std::string unsupported_reason(const TokenLearnerConfig& config, Placement placement) {
  if (placement.device.is_cpu()) return "";
  if (config.num_layers != 2) return "on CUDA it is for 2 layers";
  return unsupported_reason_on_cuda(placement.dtype, placement.device);
}

/// True if engines may read `count` elements of `dtype` from the parameter.
bool holds(const Tensor& parameter, double count, DType dtype) {
  return static_cast<double>(parameter.numel()) == count && parameter.dtype == dtype &&
         parameter.is_contiguous() &&
         static_cast<double>(parameter.storage.bytes()) >=
             (count + static_cast<double>(parameter.offset)) * static_cast<double>(item_size(dtype));
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

/// (..., C, H, W) -> (B, C, H, W). A view if the strides allow it, otherwise a copy.
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

class TokenLearnerOp final : public ConfiguredOp<TokenLearnerOp, TokenLearnerConfig> {
 public:
  TokenLearnerOp(TokenLearnerConfig config, Placement placement, Parameters parameters)
      : ConfiguredOp(std::move(config), placement, std::move(parameters)),
        engine_(choose_engine(settings(), placement, this->parameters())) {}

  Outputs run(Inputs inputs, const CallOptions& options) const override {
    const Tensor& input = only(inputs);
    check_input(input);
    const ForwardOptions forward = forward_options(options);
    const TokensAndMaps result = engine_->run(as_batch(input), forward);
    Outputs outputs{with_leading(result.tokens, input)};
    if (forward.return_attention) outputs.push_back(with_leading(result.maps, input));
    return outputs;
  }

  std::vector<std::size_t> result_bytes(std::span<const Dims> inputs,
                                        const CallOptions& options) const override {
    if (inputs.size() != 1 || inputs[0].size() < 3 || placement().device.is_cuda()) return {};
    const Dims& input = inputs[0];
    std::size_t images = 1;
    for (std::size_t i = 0; i + 3 < input.size(); ++i) images *= static_cast<std::size_t>(input[i]);
    const std::size_t values = images * static_cast<std::size_t>(settings().num_output_tokens);
    const std::size_t item = item_size(placement().dtype);
    std::vector<std::size_t> bytes{values * static_cast<std::size_t>(settings().dim) * item};
    if (forward_options(options).return_attention) {
      const auto pixels = static_cast<std::size_t>(input[input.size() - 2] * input[input.size() - 1]);
      bytes.push_back(values * pixels * item);
    }
    return bytes;
  }

  std::optional<int64_t> joined_rank(int64_t rank) const override {
    return rank >= 4 ? std::optional(rank - 1) : std::nullopt;
  }
  bool takes_any_size() const override { return true; }
  std::optional<Dims> batch_key(const Dims&) const override { return Dims(); }

  std::vector<Outputs> run_list(RequestList list) const override {
    std::vector<ForwardOptions> options;
    std::vector<ListedImages> images;
    options.reserve(list.size());
    images.reserve(list.size());
    for (const ListedRequest& request : list) {
      const Tensor& input = only(request.inputs);
      check_input(input);
      options.push_back(forward_options(*request.options));
      images.push_back({as_batch(input), &options.back()});
    }
    const std::vector<TokensAndMaps> results = engine_->run_list(images, placement().device);
    std::vector<Outputs> outputs(list.size());
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Tensor& input = list[i].inputs.front();
      outputs[i].push_back(with_leading(results[i].tokens, input));
      if (options[i].return_attention) outputs[i].push_back(with_leading(results[i].maps, input));
    }
    return outputs;
  }

  bool runs_inline(Inputs inputs) const override { return engine_->runs_inline(only(inputs).numel()); }

 private:
  static ForwardOptions forward_options(const CallOptions& options) {
    return {.return_attention = options.values.boolean("returnAttention", false),
            .tokens_first = options.values.boolean("tokensFirst", false),
            .call = &options};
  }

  void check_input(const Tensor& input) const {
    if (input.dim() < 3 || input.shape[static_cast<std::size_t>(input.dim() - 3)] != settings().dim) {
      throw Error(ErrorCode::ERR_SHAPE_MISMATCH,
                  "TokenLearner needs an input (..., " + std::to_string(settings().dim) + ", H, W)");
    }
    if (input.dtype != placement().dtype) {
      throw Error(ErrorCode::ERR_DTYPE_MISMATCH, std::string("The TokenLearner is in ") +
                                                     name_of(placement().dtype) + ", its input in " +
                                                     name_of(input.dtype));
    }
  }

  std::unique_ptr<TokenLearnerEngine> engine_;
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
