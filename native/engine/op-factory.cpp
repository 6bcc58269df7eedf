#include "engine/op-factory.hpp"

#include <sstream>

#include "engine/error.hpp"
#include "engine/ops/conv2d.hpp"
#include "engine/ops/flatten.hpp"
#include "engine/ops/layer-norm.hpp"
#include "engine/ops/linear.hpp"
#include "engine/ops/max-pool2d.hpp"
#include "engine/ops/pointwise.hpp"
#include "engine/token-learner/op.hpp"

namespace tokenlearner {

namespace {

/// "10,10" -> {10, 10}
Dims parse_dims(const std::string& text) {
  Dims dims;
  std::istringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');) dims.push_back(std::stoll(item));
  return dims;
}

Dims pair(const OpConfig& config, const char* height, const char* width) {
  return {config.integer(height), config.integer(width)};
}

TokenLearnerConfig token_learner_config(const OpConfig& config) {
  return {.dim = config.integer("dim"),
          .ff_mult = config.integer("ffMult"),
          .num_output_tokens = config.integer("numOutputTokens"),
          .num_layers = config.integer("numLayers"),
          .engine = config.string("engine"),
          .intra_op_threads = static_cast<int>(config.integer("intraOpThreads")),
          .allow_tf32 = config.boolean("allowTf32")};
}

aten::Conv2dOptions conv2d_config(const OpConfig& config) {
  return {.stride = pair(config, "strideH", "strideW"),
          .padding = pair(config, "paddingH", "paddingW"),
          .dilation = pair(config, "dilationH", "dilationW"),
          .groups = config.integer("groups")};
}

aten::MaxPool2dOptions max_pool2d_config(const OpConfig& config) {
  return {.kernel = pair(config, "kernelH", "kernelW"),
          .stride = pair(config, "strideH", "strideW"),
          .padding = pair(config, "paddingH", "paddingW"),
          .dilation = pair(config, "dilationH", "dilationW"),
          .ceil_mode = config.boolean("ceilMode")};
}

}  // namespace

template <typename T>
const T& OpConfig::get(const char* name) const {
  const auto found = values_.find(name);
  if (found == values_.end() || !std::holds_alternative<T>(found->second)) {
    throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, std::string("The configuration lacks `") + name + "`");
  }
  return std::get<T>(found->second);
}

template const double& OpConfig::get<double>(const char*) const;
template const bool& OpConfig::get<bool>(const char*) const;
template const std::string& OpConfig::get<std::string>(const char*) const;

std::shared_ptr<const Op> make_op(const std::string& kind, const OpConfig& config, Placement placement,
                                  const std::vector<Tensor>& parameters) {
  std::vector<Tensor> placed = place(parameters, placement);
  const auto make = [&]<typename O>(std::type_identity<O>, auto typed) -> std::shared_ptr<const Op> {
    return std::make_shared<O>(std::move(typed), placement, std::move(placed));
  };
  if (kind == "token-learner")
    return make(std::type_identity<TokenLearnerOp>{}, token_learner_config(config));
  if (kind == "linear") return make(std::type_identity<LinearOp>{}, LinearConfig{});
  if (kind == "conv2d") return make(std::type_identity<Conv2dOp>{}, conv2d_config(config));
  if (kind == "max-pool2d") return make(std::type_identity<MaxPool2dOp>{}, max_pool2d_config(config));
  if (kind == "layer-norm") {
    return make(std::type_identity<LayerNormOp>{},
                LayerNormConfig{parse_dims(config.string("normalizedShape")), config.number("eps")});
  }
  if (kind == "flatten") {
    return make(std::type_identity<FlattenOp>{},
                FlattenConfig{config.integer("startDim"), config.integer("endDim")});
  }
  if (kind == "gelu") return make(std::type_identity<GeluOp>{}, GeluConfig{config.string("approximate")});
  if (kind == "relu") return make(std::type_identity<ReluOp>{}, ReluConfig{});
  throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "There is no layer of kind '" + kind + "'");
}

}  // namespace tokenlearner
