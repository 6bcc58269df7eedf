// How a layer of images reads its input: any leading dimensions, channels first or last, pixels in a grid or flat.
#pragma once

#include "engine/run/op.hpp"

namespace tokenlearner {

/// The options of one call that say where an input's channels and pixels are.
struct ImageOrder {
  /// (..., H, W, C) instead of (..., C, H, W).
  bool channels_last = false;
  /// (..., P, C): one dimension of pixels. Only with channels_last.
  bool flat = false;

  /// Reads 'channelsLast' and 'flat'. Both default to false.
  static ImageOrder of(const CallOptions& options);
  /// Dimensions of one image.
  std::size_t rank() const { return flat ? 2 : 3; }
};

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
