#include "engine/layers/images.hpp"

#include <string>
#include <utility>

#include "engine/error.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

/// (..., H, W, C) or (..., P, C) as (..., C, H, W).
Tensor channels_first(Tensor x, ImageOrder order) {
  if (!order.channels_last) return x;
  const std::size_t channel = x.shape.size() - 1;
  const std::size_t first = x.shape.size() - order.rank();
  const int64_t size = x.shape[channel];
  const int64_t stride = x.strides[channel];
  x.shape.pop_back();
  x.strides.pop_back();
  const auto at = static_cast<std::ptrdiff_t>(first);
  x.shape.insert(x.shape.begin() + at, size);
  x.strides.insert(x.strides.begin() + at, stride);
  if (order.flat) {
    x.shape.insert(x.shape.begin() + at + 1, 1);
    x.strides.insert(x.strides.begin() + at + 1, 0);
  }
  return x;
}

/// (..., C, H, W) as (B, C, H, W).
Tensor merged(const Tensor& x) {
  Tensor result;
  const int64_t leading = x.dim() - 3;
  if (merge_leading(x, leading, result)) return result;
  const Tensor copy = aten::clone(x);
  merge_leading(copy, leading, result);
  return result;
}

}  // namespace

Tensor ImageBatch::with_leading(const Tensor& output) const {
  Dims shape = leading;
  shape.insert(shape.end(), output.shape.begin() + 1, output.shape.end());
  return reshaped(output, std::move(shape));
}

Tensor ImageBatch::maps(const Tensor& output) const {
  Dims shape = leading;
  shape.push_back(output.shape[1]);
  shape.insert(shape.end(), pixels.begin(), pixels.end());
  return reshaped(output, std::move(shape));
}

ImageBatch image_batch(const Tensor& input, ImageOrder order, int64_t channels, const char* layer) {
  const std::size_t rank = order.rank();
  const std::size_t dims = input.shape.size();
  const std::size_t channel = order.channels_last ? dims - 1 : dims - rank;
  if (dims < rank || (order.flat && !order.channels_last) || input.shape[channel] != channels) {
    const std::string size = std::to_string(channels);
    throw Error(ErrorCode::ERR_SHAPE_MISMATCH,
                std::string(layer) + " needs an input (..., " +
                    (!order.channels_last ? size + ", H, W)" : (order.flat ? "P, " : "H, W, ") + size + ")"));
  }
  ImageBatch batch;
  const auto first = static_cast<std::ptrdiff_t>(dims - rank);
  const std::ptrdiff_t skip = order.channels_last ? 0 : 1;
  batch.leading.assign(input.shape.begin(), input.shape.begin() + first);
  batch.pixels.assign(input.shape.begin() + first + skip, input.shape.end() - (1 - skip));
  batch.images = merged(channels_first(input, order));
  return batch;
}

}  // namespace tokenlearner
