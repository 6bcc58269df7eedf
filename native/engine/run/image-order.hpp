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
  static ImageOrder of(const CallOptions& options) {
    return {.channels_last = options.values.boolean("channelsLast", false),
            .flat = options.values.boolean("flat", false)};
  }
  /// Dimensions of one image.
  std::size_t rank() const { return flat ? 2 : 3; }
};

/// The images of an input, and the pixels of one: products of the leading dimensions, and of those of the pixels.
struct ImageCount {
  int64_t images = 1;
  int64_t pixels = 1;
};

/// Precondition: the shape has at least order.rank() dimensions.
inline ImageCount count_images(const Dims& shape, ImageOrder order) {
  ImageCount count;
  const std::size_t first = shape.size() - order.rank();
  const std::size_t channel = order.channels_last ? shape.size() - 1 : first;
  for (std::size_t i = 0; i < first; ++i) count.images *= shape[i];
  for (std::size_t i = first; i < shape.size(); ++i) count.pixels *= i == channel ? 1 : shape[i];
  return count;
}

}  // namespace tokenlearner
