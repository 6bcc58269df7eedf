#pragma once

#include <vector>

#include "engine/token-fuser/engine.hpp"
#include "engine/token-learner/fused-pooling.hpp"
#include "engine/token-learner/marshal.hpp"
#include "kernels/token-fuser-params.hpp"

namespace tokenlearner {

/// The kernels' view of the parameters, which must outlive it.
inline kernels::TokenFuserView fuser_view(const TokenFuserConfig& config, const std::vector<Tensor>& p) {
  kernels::TokenFuserView view;
  if (config.use_normalization) {
    view.norm1_weight = p[0].data();
    view.norm1_bias = p[1].data();
    view.norm2_weight = p[2].data();
    view.norm2_bias = p[3].data();
  }
  const std::size_t i = config.first_mix();
  view.mix_weight = p[i].data();
  view.mix_bias = p[i + 1].data();
  view.mlp.channels = config.dim;
  view.mlp.hidden = config.bottleneck_dim;
  view.mlp.tokens = config.num_tokens;
  view.mlp.dtype = p[0].dtype;
  view.mlp.activation = activation_of(config.approximate);
  view.mlp.eps = config.eps;
  view.mlp.norm_weight = p[i + 2].data();
  view.mlp.norm_bias = p[i + 3].data();
  view.mlp.first_weight = p[i + 4].data();
  view.mlp.first_bias = p[i + 5].data();
  view.mlp.second_weight = p[i + 6].data();
  view.mlp.second_bias = p[i + 7].data();
  return view;
}

/// The kernels' arguments for tokens (B, C, G) and the original (B, C, H, W), with the memory of the results.
inline kernels::TokenFuserParams fuser_params(const Tensor& tokens, const Tensor& original,
                                              bool channels_last, const OutputAndMaps& result) {
  kernels::TokenFuserParams params;
  set_images(params, original);
  params.tokens = tokens.data();
  params.tokens_batch_stride = tokens.strides[0];
  params.tokens_channel_stride = tokens.strides[1];
  params.tokens_token_stride = tokens.strides[2];
  params.out_channels_last = channels_last;
  params.out = result.output.data();
  if (!result.maps.shape.empty()) params.attention = result.maps.data();
  return params;
}

}  // namespace tokenlearner
