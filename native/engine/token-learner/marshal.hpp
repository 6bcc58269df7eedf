#pragma once

#include <vector>

#include "engine/memory/tensor.hpp"
#include "engine/token-learner/engine.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner {

/// The layers of a fused TokenLearner. The kernels' WeightsView points to them.
using LayerViews = std::vector<kernels::LayerView>;

inline LayerViews layer_views(const std::vector<Tensor>& parameters) {
  LayerViews layers;
  for (std::size_t i = 0; i + 1 < parameters.size(); i += 2) {
    layers.push_back({parameters[i].data(), parameters[i + 1].data()});
  }
  return layers;
}

/// The view points to `layers`, which must outlive it.
inline kernels::WeightsView weights_view(const TokenLearnerConfig& config,
                                         const std::vector<Tensor>& parameters, const LayerViews& layers) {
  kernels::WeightsView view;
  view.channels = config.dim;
  view.hidden = config.hidden();
  view.tokens = config.num_output_tokens;
  view.num_layers = static_cast<int>(layers.size());
  view.dtype = parameters[0].dtype;
  view.layers = layers.data();
  return view;
}

/// The fields of the images x (B, C, H, W), with any strides.
template <typename Params>
void set_images(Params& p, const Tensor& x) {
  p.batch = x.shape[0];
  p.height = x.shape[2];
  p.width = x.shape[3];
  p.dtype = x.dtype;
  p.x = x.data();
  p.x_batch_stride = x.strides[0];
  p.x_channel_stride = x.strides[1];
  p.x_row_stride = x.strides[2];
  p.x_pixel_stride = x.strides[3];
}

/// The kernels' arguments for x (B, C, H, W) with any strides, maps (B, G, H, W) contiguous or an empty Tensor for none, and
/// tokens (B, C, G) or (B, G, C).
inline kernels::ForwardParams forward_params(const Tensor& x, const Tensor& maps, const Tensor& tokens,
                                             bool tokens_first) {
  kernels::ForwardParams p;
  set_images(p, x);
  p.tokens = tokens.data();
  p.tokens_batch_stride = tokens.strides[0];
  p.tokens_channel_stride = tokens.strides[tokens_first ? 2 : 1];
  p.tokens_token_stride = tokens.strides[tokens_first ? 1 : 2];
  if (maps.shape.empty()) return p;
  p.attention = maps.data();
  p.attention_batch_stride = maps.strides[0];
  p.attention_token_stride = maps.strides[1];
  return p;
}

}  // namespace tokenlearner
