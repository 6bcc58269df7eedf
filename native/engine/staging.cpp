#include "engine/staging.hpp"

#include "engine/aten.hpp"

namespace tokenlearner {

// Note: [Copies that are waited for]
// A copy that libtorch does not wait for leaves an event with the pinned block, which is recorded when the
// block is freed: on a broken device that throws in a destructor and ends the process. So copies are waited
// for, on the lane's own stream; the other lanes go on.

Tensor empty_pinned(const Dims& shape, DType dtype) {
  Tensor tensor = aten::empty(shape, dtype, Device::cpu(), true);
  tensor.storage.set_pinned();
  return tensor;
}

Tensor upload(const Tensor& host, Device device) {
  Tensor source = host;
  if (!host.storage.pinned() || !host.is_contiguous()) {
    source = empty_pinned(host.shape, host.dtype);
    aten::copy(source, host);
  }
  Tensor target = aten::empty(host.shape, host.dtype, device, false);
  aten::copy(target, source);
  return target;
}

Tensor download(const Tensor& tensor) {
  Tensor target = empty_pinned(tensor.shape, tensor.dtype);
  aten::copy(target, tensor);
  return target;
}

}  // namespace tokenlearner
