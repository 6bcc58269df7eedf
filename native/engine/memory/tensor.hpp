#pragma once

#include <cstdint>

#include "engine/memory/dims.hpp"
#include "engine/memory/dtype.hpp"
#include "engine/memory/storage.hpp"

namespace tokenlearner {

/// A strided view of a storage. Strides and offset are in elements, not bytes.
struct Tensor {
  Storage storage;
  DType dtype = DType::float32;
  Dims shape;
  Dims strides;
  int64_t offset = 0;

  /// A new, uninitialised, contiguous tensor in host memory.
  static Tensor empty(Dims shape, DType dtype);

  std::byte* data() const { return storage.data() + offset * static_cast<int64_t>(item_size(dtype)); }
  int64_t dim() const { return static_cast<int64_t>(shape.size()); }
  int64_t numel() const;
  /// Of all elements, without gaps.
  std::size_t byte_length() const { return static_cast<std::size_t>(numel()) * item_size(dtype); }
  bool is_contiguous() const;
  Device device() const { return storage.device(); }
};

/// Row-major strides.
Dims contiguous_strides(const Dims& shape);

/// The number of elements from the first to the last one that the view reaches. 0 for an empty view.
int64_t extent(const Dims& shape, const Dims& strides);

/// Sets `merged` to the view with dimensions [0, count) merged into one. False if the strides do not allow
/// that.
bool merge_leading(const Tensor& tensor, int64_t count, Tensor& merged);

/// Rows `first` to `first + count - 1` of axis 0. Precondition: there is an axis 0.
Tensor rows(const Tensor& tensor, int64_t first, int64_t count);

/// The same data with another shape. Precondition: contiguous, and the same number of elements.
Tensor reshaped(Tensor tensor, Dims shape);

}  // namespace tokenlearner
