// The ATen operators that this project uses, one function each, on engine tensors. Arguments follow PyTorch's
// schemas.
#pragma once

#include <optional>
#include <string>

#include "engine/tensor.hpp"

namespace tokenlearner::aten {

struct Conv2dOptions {
  Dims stride{1, 1};
  Dims padding{0, 0};
  Dims dilation{1, 1};
  int64_t groups = 1;
  /// CUDA: whether cuDNN may round float32 operands to TF32. PyTorch allows it by default; here float32 means
  /// float32.
  bool allow_tf32 = false;
};

struct MaxPool2dOptions {
  Dims kernel{1, 1};
  Dims stride{1, 1};
  Dims padding{0, 0};
  Dims dilation{1, 1};
  bool ceil_mode = false;
};

/// x (B, C, H, W), weight (O, C / groups, kh, kw), bias (O) or null.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor* bias, const Conv2dOptions& options = {});
/// `approximate` is "none" (exact, erf) or "tanh".
Tensor gelu(const Tensor& x, const std::string& approximate = "none");
Tensor relu(const Tensor& x);
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor* bias);
Tensor layer_norm(const Tensor& x, const Dims& normalized_shape, const Tensor* weight, const Tensor* bias,
                  double eps);
Tensor max_pool2d(const Tensor& x, const MaxPool2dOptions& options);
Tensor repeat(const Tensor& x, const Dims& repeats);
Tensor mul(const Tensor& a, const Tensor& b);
/// Over `dims`, which are dropped.
Tensor mean(const Tensor& x, const Dims& dims);
/// A contiguous copy, always.
Tensor clone(const Tensor& x);
/// A contiguous copy with another dtype and device.
Tensor to_copy(const Tensor& x, DType dtype, Device device);

/// Uninitialised. `pinned` asks for page-locked host memory.
Tensor empty(const Dims& shape, DType dtype, Device device, bool pinned);
/// target.copy_(source), waited for (see Note [Copies that are waited for] in staging.cpp): the same shape;
/// any dtypes, strides and devices.
void copy(const Tensor& target, const Tensor& source);
/// Normal random numbers from libtorch's own generator of the device.
Tensor randn(const Dims& shape, DType dtype, Device device);

/// `x` itself where it is contiguous, else a contiguous copy.
Tensor contiguous(const Tensor& x);

}  // namespace tokenlearner::aten
