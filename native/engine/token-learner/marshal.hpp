#pragma once

#include "engine/tensor.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner {

/// x (B, C, H, W) of any strides, maps (B, G, H, W) contiguous, tokens (B, C, G) or (B, G, C): as the kernels
/// take them.
inline kernels::ForwardParams forward_params(const Tensor& x, const Tensor& maps, const Tensor& tokens,
                                             bool tokens_first, kernels::DType dtype) {
  kernels::ForwardParams p;
  p.batch = x.shape[0];
  p.height = x.shape[2];
  p.width = x.shape[3];
  p.dtype = dtype;
  p.x = x.data();
  p.x_batch_stride = x.strides[0];
  p.x_channel_stride = x.strides[1];
  p.x_row_stride = x.strides[2];
  p.x_pixel_stride = x.strides[3];
  p.tokens = tokens.data();
  p.tokens_batch_stride = tokens.strides[0];
  p.tokens_channel_stride = tokens.strides[tokens_first ? 2 : 1];
  p.tokens_token_stride = tokens.strides[tokens_first ? 1 : 2];
  p.attention = maps.data();
  p.attention_batch_stride = maps.strides[0];
  p.attention_token_stride = maps.strides[1];
  return p;
}

}  // namespace tokenlearner
