// The guards at the start of every CPU launcher. They catch mistakes in native/engine: lib/ has already
// rejected wrong input of users.
#pragma once

#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels {

inline bool is_valid(const WeightsView& weights) {
  if (weights.channels < 1 || weights.tokens < 1 || weights.num_layers < 1) return false;
  if (weights.num_layers > 1 && weights.hidden < 1) return false;
  if (weights.layers == nullptr || !is_floating(weights.dtype)) return false;
  for (int i = 0; i < weights.num_layers; ++i) {
    if (weights.layers[i].weight == nullptr || weights.layers[i].bias == nullptr) return false;
  }
  return true;
}

inline bool is_valid(const ForwardParams& params) {
  if (params.batch < 0 || params.height < 0 || params.width < 0 || !is_floating(params.dtype)) return false;
  if (params.batch == 0) return true;
  if (params.tokens == nullptr) return false;
  const bool has_pixels = params.height > 0 && params.width > 0;
  return !has_pixels || (params.x != nullptr && params.attention != nullptr);
}

/** The same for layers that write their maps only if `attention` is not null, and have no value without pixels. */
inline bool is_valid_pooling(const ForwardParams& params) {
  if (params.batch < 0 || params.height < 0 || params.width < 0 || !is_floating(params.dtype)) return false;
  if (params.batch == 0) return true;
  return params.height > 0 && params.width > 0 && params.x != nullptr && params.tokens != nullptr;
}

}  // namespace tokenlearner::kernels
