#include "engine/cuda/staging.hpp"

#include "engine/torch/aten.hpp"

namespace tokenlearner {

// Note: [Copies that are waited for]
// If libtorch does not wait for a copy, it attaches an event to the pinned block and records it when the
// block is freed. On a broken device this throws in a destructor, which ends the process. So every copy is
// waited for, on the lane's own stream. The other lanes continue.

Tensor empty_pinned(const Dims& shape, DType dtype) {
  Tensor tensor = aten::empty(shape, dtype, Device::cpu(), true);
  tensor.storage.set_pinned();
  return tensor;
}

Tensor staged(const Tensor& host) {
  if (host.storage.pinned() && host.is_contiguous()) return host;
  const Tensor copy = empty_pinned(host.shape, host.dtype);
  aten::copy(copy, host);
  return copy;
}

Tensor upload(const Tensor& host, Device device) {
  Tensor target = aten::empty(host.shape, host.dtype, device, false);
  aten::copy(target, staged(host));
  return target;
}

Tensor download(const Tensor& tensor) {
  Tensor target = empty_pinned(tensor.shape, tensor.dtype);
  aten::copy(target, tensor);
  return target;
}

}  // namespace tokenlearner
