#include "engine/token-learner/op.hpp"

#include "engine/aten.hpp"
#include "engine/error.hpp"

namespace tokenlearner {

namespace {

/// Why the fused engine cannot run; empty where it can.
std::string hindrance(const TokenLearnerConfig& config, Placement placement) {
  if (config.num_layers != 2) return "it is for 2 layers";
  return placement.device.is_cpu() ? "" : hindrance_on_cuda(placement.dtype, placement.device);
}

/// Whether engines may read `count` elements of `dtype` from it.
bool holds(const Tensor& parameter, double count, DType dtype) {
  return static_cast<double>(parameter.numel()) == count && parameter.dtype == dtype &&
         parameter.is_contiguous() &&
         static_cast<double>(parameter.storage.bytes()) >=
             (count + static_cast<double>(parameter.offset)) * static_cast<double>(item_size(dtype));
}

/// Throws unless there is a weight and a bias a layer, of the configuration's sizes and the placement's
/// dtype: engines read them unchecked.
void check_parameters(const TokenLearnerConfig& config, DType dtype, const std::vector<Tensor>& parameters) {
  const auto groups = static_cast<double>(config.num_output_tokens);
  const auto hidden = static_cast<double>(config.dim) * static_cast<double>(config.ff_mult);
  bool right = is_floating(dtype) && config.dim > 0 && config.ff_mult > 0 && config.num_output_tokens > 0 &&
               config.num_layers > 0 && parameters.size() == 2 * static_cast<std::size_t>(config.num_layers);
  auto inputs = static_cast<double>(config.dim);
  for (std::size_t i = 0; right && i < parameters.size(); i += 2) {
    const double outputs = i + 2 == parameters.size() ? groups : groups * hidden;
    // As floating point: exact up to what memory can hold, and free of overflow.
    right = holds(parameters[i], outputs * inputs, dtype) && holds(parameters[i + 1], outputs, dtype);
    inputs = hidden;
  }
  if (!right) {
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE,
                "The parameters do not fit the TokenLearner's configuration");
  }
}

/// The rule: 'auto' is fused wherever it can run, and grouped-conv elsewhere; 'fused' never falls back
/// silently.
std::unique_ptr<TokenLearnerEngine> choose_engine(const TokenLearnerConfig& config, Placement placement,
                                                  const std::vector<Tensor>& parameters) {
  check_parameters(config, placement.dtype, parameters);
  if (config.engine == "grouped-conv") return make_grouped_conv_engine(config, parameters);
  if (const std::string why = hindrance(config, placement); !why.empty()) {
    if (config.engine != "fused") return make_grouped_conv_engine(config, parameters);
    throw Error(ErrorCode::ERR_ENGINE_UNSUPPORTED,
                "Engine 'fused' cannot run numLayers " + std::to_string(config.num_layers) + " in " +
                    name_of(placement.dtype) + " on " + placement.device.to_string() + ": " + why +
                    "; engine 'auto' takes 'grouped-conv' here");
  }
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
  if (input.dtype != placement().dtype) {
    throw Error(ErrorCode::ERR_DTYPE_MISMATCH, std::string("The TokenLearner is in ") +
                                                   name_of(placement().dtype) + ", its input in " +
                                                   name_of(input.dtype));
  }
  const TokensAndMaps result = engine_->run(as_batch(input), options);
  Outputs outputs{with_leading(result.tokens, input)};
  if (options.return_attention) outputs.push_back(with_leading(result.maps, input));
  return outputs;
}

std::vector<std::size_t> TokenLearnerOp::result_bytes(const Dims& input, const RunOptions& options) const {
  if (input.size() < 3 || placement().device.is_cuda()) return {};
  std::size_t images = 1;
  for (std::size_t i = 0; i + 3 < input.size(); ++i) images *= static_cast<std::size_t>(input[i]);
  const std::size_t values = images * static_cast<std::size_t>(config().num_output_tokens);
  const std::size_t item = item_size(placement().dtype);
  std::vector<std::size_t> bytes{values * static_cast<std::size_t>(config().dim) * item};
  if (options.return_attention) {
    const auto pixels = static_cast<std::size_t>(input[input.size() - 2] * input[input.size() - 1]);
    bytes.push_back(values * pixels * item);
  }
  return bytes;
}

}  // namespace tokenlearner
