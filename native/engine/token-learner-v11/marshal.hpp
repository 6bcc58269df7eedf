#pragma once

#include <vector>

#include "engine/token-learner-v11/engine.hpp"
#include "engine/token-learner/fused-pooling.hpp"
#include "kernels/token-learner-v11-params.hpp"

namespace tokenlearner {

/// The kernels' view of the parameters, which must outlive it.
inline kernels::TokenLearnerV11View v11_view(const TokenLearnerV11Config& config,
                                             const std::vector<Tensor>& p) {
  kernels::TokenLearnerV11View view;
  view.mlp.channels = config.dim;
  view.mlp.hidden = config.hidden();
  view.mlp.tokens = config.num_output_tokens;
  view.mlp.groups = config.has_value() ? config.groups : 1;
  view.mlp.dtype = p[0].dtype;
  view.mlp.activation = activation_of(config.activation());
  view.mlp.eps = config.eps;
  view.mlp.norm_weight = p[0].data();
  view.mlp.norm_bias = p[1].data();
  view.mlp.first_weight = p[2].data();
  if (config.has_value()) {
    view.mlp.second_weight = p[3].data();
    view.value_weight = p[4].data();
  } else {
    view.mlp.first_bias = p[3].data();
    view.mlp.second_weight = p[4].data();
    view.mlp.second_bias = p[5].data();
  }
  return view;
}

}  // namespace tokenlearner
