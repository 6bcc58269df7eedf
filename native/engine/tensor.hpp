#pragma once

#include <cstdint>
#include <vector>

#include "engine/dtype.hpp"
#include "engine/storage.hpp"

namespace tokenlearner {

using Dims = std::vector<int64_t>;

/// A strided view of a storage. Strides and offset are in elements, not bytes.
struct Tensor {
  Storage storage;
  DType dtype = DType::kFloat32;
  Dims shape;
  Dims strides;
  int64_t offset = 0;

  /// A new contiguous tensor in host memory, uninitialised.
  static Tensor empty(Dims shape, DType dtype);

  std::byte* data() const { return storage.data() + offset * static_cast<int64_t>(item_size(dtype)); }
  int64_t dim() const { return static_cast<int64_t>(shape.size()); }
  int64_t numel() const;
  bool is_contiguous() const;
  Device device() const { return storage.device(); }
};

/// Row-major strides.
Dims contiguous_strides(const Dims& shape);

/// Elements from the first to just behind the last that the view reaches; 0 for an empty one.
int64_t extent(const Dims& shape, const Dims& strides);

/// The view with dimensions [0, count) merged into one, or false where its strides do not allow that.
bool merge_leading(const Tensor& tensor, int64_t count, Tensor& merged);

/// The same data under another shape. Precondition: contiguous, same number of elements.
Tensor reshaped(Tensor tensor, Dims shape);

}  // namespace tokenlearner
