#include "engine/torch/aten.hpp"

#include "engine/error.hpp"
#include "engine/memory/copy.hpp"
#include "engine/torch/abi.hpp"

namespace tokenlearner::aten {

namespace {

/// A result's storage keeps its own handle, even if the result is a view of an argument's memory. None of the
/// operators here (clone, arithmetic, convolutions) returns such a view, except where the caller's contract
/// says so.
TorchTensor view(const Tensor& tensor) { return TorchTensor::view(tensor); }

std::optional<TorchTensor> view(const Tensor* tensor) {
  if (tensor == nullptr) return std::nullopt;
  return TorchTensor::view(*tensor);
}

const TorchTensor* pointer(const std::optional<TorchTensor>& tensor) { return tensor ? &*tensor : nullptr; }

constexpr int64_t kContiguousFormat = 0;

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor* bias, const Conv2dOptions& options) {
  const auto b = view(bias);
  if (x.device().is_cpu()) {
    return TorchCall("aten::conv2d", "")
        .tensor(view(x))
        .tensor(view(weight))
        .optional_tensor(pointer(b))
        .ints(options.stride)
        .ints(options.padding)
        .ints(options.dilation)
        .integer(options.groups)
        .run()
        .to_tensor();
  }
  // conv2d reads TF32 from a global setting that the stable ABI cannot change. The operator under it has an
  // argument for it.
  const bool single = x.dim() == 3;
  Tensor batch = x;
  if (single) {
    batch.shape.insert(batch.shape.begin(), 1);
    batch.strides.insert(batch.strides.begin(), 0);
  }
  Tensor y = TorchCall("aten::_convolution", "")
                 .tensor(view(batch))
                 .tensor(view(weight))
                 .optional_tensor(pointer(b))
                 .ints(options.stride)
                 .ints(options.padding)
                 .ints(options.dilation)
                 .boolean(false)  // transposed
                 .ints({0, 0})    // output_padding
                 .integer(options.groups)
                 .boolean(false)  // benchmark
                 .boolean(false)  // deterministic
                 .boolean(true)   // cudnn_enabled
                 .boolean(options.allow_tf32)
                 .run()
                 .to_tensor();
  if (single) {
    y.shape.erase(y.shape.begin());
    y.strides.erase(y.strides.begin());
  }
  return y;
}

Tensor gelu(const Tensor& x, const std::string& approximate) {
  return TorchCall("aten::gelu", "").tensor(view(x)).string(approximate).run().to_tensor();
}

Tensor relu(const Tensor& x) { return TorchCall("aten::relu", "").tensor(view(x)).run().to_tensor(); }

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor* bias) {
  const auto b = view(bias);
  return TorchCall("aten::linear", "")
      .tensor(view(x))
      .tensor(view(weight))
      .optional_tensor(pointer(b))
      .run()
      .to_tensor();
}

Tensor layer_norm(const Tensor& x, const Dims& normalized_shape, const Tensor* weight, const Tensor* bias,
                  double eps) {
  const auto w = view(weight);
  const auto b = view(bias);
  return TorchCall("aten::layer_norm", "")
      .tensor(view(x))
      .ints(normalized_shape)
      .optional_tensor(pointer(w))
      .optional_tensor(pointer(b))
      .number(eps)
      .boolean(true)
      .run()
      .to_tensor();
}

Tensor repeat(const Tensor& x, const Dims& repeats) {
  return TorchCall("aten::repeat", "").tensor(view(x)).ints(repeats).run().to_tensor();
}

Tensor mul(const Tensor& a, const Tensor& b) {
  return TorchCall("aten::mul", "Tensor").tensor(view(a)).tensor(view(b)).run().to_tensor();
}

Tensor mean(const Tensor& x, const Dims& dims) {
  return TorchCall("aten::mean", "dim")
      .tensor(view(x))
      .optional_ints(dims)
      .boolean(false)
      .none()
      .run()
      .to_tensor();
}

Tensor clone(const Tensor& x) { return to_copy(x, x.dtype, x.device()); }

Tensor to_copy(const Tensor& x, DType dtype, Device device) {
  if (x.device().is_cpu() && device.is_cpu()) return copied(x, dtype);
  // _to_copy(self, *, dtype, layout, device, pin_memory, non_blocking, memory_format) always copies. Some
  // device paths ignore its memory_format, so a source with strides is first cloned to contiguous memory.
  TorchTensor source = view(x);
  if (!x.is_contiguous()) {
    source = TorchCall("aten::contiguous", "").tensor(source).integer(kContiguousFormat).run();
  }
  return TorchCall("aten::_to_copy", "")
      .tensor(source)
      .optional_dtype(dtype)
      .none()
      .optional_device(device)
      .none()
      .boolean(false)
      .none()
      .run()
      .to_tensor();
}

namespace {

Tensor allocate(const Dims& shape, DType dtype, Device device, bool pinned) {
  return TorchCall("aten::empty", "memory_format")
      .ints(shape)
      .optional_dtype(dtype)
      .none()
      .optional_device(device)
      .optional_boolean(pinned)
      .none()
      .run()
      .to_tensor();
}

}  // namespace

Tensor empty(const Dims& shape, DType dtype, Device device, bool pinned) {
  try {
    return allocate(shape, dtype, device, pinned);
  } catch (const Error& error) {
    // Before 2.13, libtorch gives no reason for a failure. An allocation fails because memory is short or
    // because the device is broken. In the second case the wait after the failure detects it: see drain() in
    // run/op.cpp.
    const bool untold = torch().torch_exception_get_what_without_backtrace == nullptr;
    if (untold && device.is_cuda()) throw Error(ErrorCode::ERR_OUT_OF_MEMORY, error.what());
    throw;
  }
}

void copy(const Tensor& target, const Tensor& source) {
  TorchCall("aten::copy_", "").tensor(view(target)).tensor(view(source)).boolean(false).run();
}

Tensor randn(const Dims& shape, DType dtype, Device device) {
  return TorchCall("aten::randn", "")
      .ints(shape)
      .optional_dtype(dtype)
      .none()
      .optional_device(device)
      .none()
      .run()
      .to_tensor();
}

Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone(x); }

}  // namespace tokenlearner::aten
