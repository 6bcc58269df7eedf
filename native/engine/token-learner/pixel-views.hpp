// Views of images and tokens, for engines on libtorch's operators.
#pragma once

#include <utility>

#include "engine/torch/abi.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

/// (B, M, N) as (B, N, M), a view.
inline Tensor transposed(Tensor x) {
  std::swap(x.shape[1], x.shape[2]);
  std::swap(x.strides[1], x.strides[2]);
  return x;
}

/// (B, C, H, W) as (B, C, P): a view if the rows of an image follow one another.
inline Tensor flat(const Tensor& x) {
  const Dims shape{x.shape[0], x.shape[1], x.shape[2] * x.shape[3]};
  if (x.shape[2] != 1 && x.strides[2] != x.shape[3] * x.strides[3]) return reshaped(aten::clone(x), shape);
  Tensor view = x;
  view.shape = shape;
  view.strides = {x.strides[0], x.strides[1], x.strides[3]};
  return view;
}

inline Tensor sigmoid(const Tensor& x) {
  return TorchCall("aten::sigmoid", "").tensor(TorchTensor::view(x)).run().to_tensor();
}

/// (B, M, K) times (B, K, N).
inline Tensor product(const Tensor& a, const Tensor& b) {
  return TorchCall("aten::bmm", "")
      .tensor(TorchTensor::view(a))
      .tensor(TorchTensor::view(b))
      .run()
      .to_tensor();
}

}  // namespace tokenlearner
