// How a layer of images reads its input: any leading dimensions, channels first or last, pixels in a grid or flat.
#pragma once

#include "engine/run/image-order.hpp"

namespace tokenlearner {

/// An input as a batch of images.
struct ImageBatch {
  /// (B, C, H, W): a view if the strides allow it, otherwise a copy. H is 1 for flat pixels.
  Tensor images;
  /// The leading dimensions, and (H, W) or (P).
  Dims leading;
  Dims pixels;

  /// (B, rest...) as (leading..., rest...).
  Tensor with_leading(const Tensor& output) const;
  /// Maps (B, G, H, W) as (leading..., G, pixels...).
  Tensor maps(const Tensor& output) const;
};

/// Throws ERR_SHAPE_MISMATCH if the input has too few dimensions or not `channels` channels. `layer` is for the message.
ImageBatch image_batch(const Tensor& input, ImageOrder order, int64_t channels, const char* layer);

}  // namespace tokenlearner
