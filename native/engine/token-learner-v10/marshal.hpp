#pragma once

#include <vector>

#include "engine/token-learner-v10/engine.hpp"
#include "engine/token-learner/fused-pooling.hpp"
#include "kernels/token-learner-v10-params.hpp"

namespace tokenlearner {

/// The kernels' view of the parameters, which must outlive it.
inline kernels::TokenLearnerV10View v10_view(const TokenLearnerV10Config& config,
                                             const std::vector<Tensor>& parameters) {
  kernels::TokenLearnerV10View view;
  view.channels = config.dim;
  view.tokens = config.num_output_tokens;
  view.dtype = parameters[0].dtype;
  view.activation = activation_of(config.approximate);
  view.eps = config.eps;
  view.takes_mean = config.pooling == "mean";
  view.norm_weight = parameters[0].data();
  view.norm_bias = parameters[1].data();
  for (std::size_t i = 0; i < 4; ++i) view.convolutions[i] = parameters[2 + i].data();
  return view;
}

}  // namespace tokenlearner
