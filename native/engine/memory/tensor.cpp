#include "engine/memory/tensor.hpp"

#include <utility>

namespace tokenlearner {

namespace {

int64_t product(const Dims& shape, std::size_t count) {
  int64_t n = 1;
  for (std::size_t i = 0; i < count; ++i) n *= shape[i];
  return n;
}

}  // namespace

Tensor Tensor::empty(Dims shape, DType dtype) {
  const auto bytes = static_cast<std::size_t>(product(shape, shape.size())) * item_size(dtype);
  Tensor tensor;
  tensor.storage = Storage::allocate(bytes, false);
  tensor.dtype = dtype;
  tensor.strides = contiguous_strides(shape);
  tensor.shape = std::move(shape);
  return tensor;
}

int64_t Tensor::numel() const { return product(shape, shape.size()); }

bool Tensor::is_contiguous() const {
  if (numel() == 0) return true;
  int64_t expected = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

Dims contiguous_strides(const Dims& shape) {
  Dims strides(shape.size());
  int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i] > 0 ? shape[i] : 1;
  }
  return strides;
}

int64_t extent(const Dims& shape, const Dims& strides) {
  int64_t last = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 0) return 0;
    last += (shape[i] - 1) * strides[i];
  }
  return last + 1;
}

bool merge_leading(const Tensor& tensor, int64_t count, Tensor& merged) {
  const auto n = static_cast<std::size_t>(count);
  int64_t size = 1;
  int64_t stride = 0;
  // From the innermost dimension outwards, each stride must be the span of the dimensions inside it. An empty
  // tensor has no elements, so it may have any strides.
  for (std::size_t i = n; tensor.numel() > 0 && i-- > 0;) {
    if (tensor.shape[i] == 1) continue;
    if (size == 1) {
      stride = tensor.strides[i];
    } else if (tensor.strides[i] != stride * size) {
      return false;
    }
    size *= tensor.shape[i];
  }
  merged = tensor;
  merged.shape.assign(tensor.shape.begin() + count, tensor.shape.end());
  merged.strides.assign(tensor.strides.begin() + count, tensor.strides.end());
  merged.shape.insert(merged.shape.begin(), product(tensor.shape, n));
  merged.strides.insert(merged.strides.begin(), stride);
  return true;
}

Tensor rows(const Tensor& tensor, int64_t first, int64_t count) {
  Tensor view = tensor;
  view.shape[0] = count;
  view.offset += first * tensor.strides[0];
  return view;
}

Tensor reshaped(Tensor tensor, Dims shape) {
  tensor.strides = contiguous_strides(shape);
  tensor.shape = std::move(shape);
  return tensor;
}

}  // namespace tokenlearner
