// ATen operators that several files use, one function each, on Tensor. The arguments follow PyTorch's
// schemas. An operator that only one layer uses is in that layer's file.
#pragma once

#include <optional>
#include <string>

#include "engine/memory/tensor.hpp"

namespace tokenlearner::aten {

struct Conv2dOptions {
  Dims stride{1, 1};
  Dims padding{0, 0};
  Dims dilation{1, 1};
  int64_t groups = 1;
  /// CUDA: true if cuDNN may round float32 operands to TF32. PyTorch's default is true. Here float32 means
  /// float32.
  bool allow_tf32 = false;
};

/// x (B, C, H, W), weight (O, C / groups, kh, kw), bias (O) or null.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor* bias, const Conv2dOptions& options = {});
/// `approximate` is "none" (exact, erf) or "tanh".
Tensor gelu(const Tensor& x, const std::string& approximate = "none");
Tensor relu(const Tensor& x);
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor* bias);
Tensor layer_norm(const Tensor& x, const Dims& normalized_shape, const Tensor* weight, const Tensor* bias,
                  double eps);
Tensor repeat(const Tensor& x, const Dims& repeats);
Tensor mul(const Tensor& a, const Tensor& b);
/// The mean over `dims`. These dimensions are dropped.
Tensor mean(const Tensor& x, const Dims& dims);
/// Always a copy. It is contiguous. Within host memory it needs no libtorch.
Tensor clone(const Tensor& x);
/// A contiguous copy with another dtype and device. Within host memory it needs no libtorch.
Tensor to_copy(const Tensor& x, DType dtype, Device device);

/// An uninitialised tensor. With `pinned`, it is in page-locked host memory.
Tensor empty(const Dims& shape, DType dtype, Device device, bool pinned);
/// target.copy_(source), and waits for it: see Note [Copies in flight] in cuda/transfer.hpp. The
/// shapes are equal. Dtypes, strides and devices may differ.
void copy(const Tensor& target, const Tensor& source);
/// Normal random numbers from libtorch's own generator for the device.
Tensor randn(const Dims& shape, DType dtype, Device device);

/// `x` itself if it is contiguous, otherwise clone(x).
Tensor contiguous(const Tensor& x);

}  // namespace tokenlearner::aten
