// The table of layers. layers/<name>.cpp has a layer's configuration, its parsing and its run. One row here
// registers the layer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/run/op.hpp"

namespace tokenlearner {

// X(kind, maker). lib/modules passes the kind.
#define TOKENLEARNER_LAYERS(X)                   \
  X("aoti", make_aoti)                           \
  X("conv2d", make_conv2d)                       \
  X("flatten", make_flatten)                     \
  X("gelu", make_gelu)                           \
  X("layer-norm", make_layer_norm)               \
  X("linear", make_linear)                       \
  X("max-pool2d", make_max_pool2d)               \
  X("relu", make_relu)                           \
  X("token-fuser", make_token_fuser)             \
  X("token-learner", make_token_learner)         \
  X("token-learner-v10", make_token_learner_v10) \
  X("token-learner-v11", make_token_learner_v11)

using Parameters = std::vector<Tensor>;

/// Makes a layer's operator. The parameters are in the layer's documented order and have the placement's
/// dtype and device. Throws ERR_INVALID_ARG_TYPE if the configuration lacks a value.
using LayerMaker = std::shared_ptr<const Op>(const Config& config, Placement placement,
                                             Parameters parameters);

#define TOKENLEARNER_DECLARE_LAYER(kind, maker) LayerMaker maker;
TOKENLEARNER_LAYERS(TOKENLEARNER_DECLARE_LAYER)
#undef TOKENLEARNER_DECLARE_LAYER

/// Makes an operator of the given kind. Copies the parameters to the placement. Throws ERR_INVALID_ARG_VALUE
/// if there is no such kind.
std::shared_ptr<const Op> make_layer(const std::string& kind, const Config& config, Placement placement,
                                     const Parameters& parameters);

}  // namespace tokenlearner
