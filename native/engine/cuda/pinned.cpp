#include "engine/cuda/staging.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

Tensor empty_pinned(const Dims& shape, DType dtype) {
  Tensor tensor = aten::empty(shape, dtype, Device::cpu(), true);
  tensor.storage.set_pinned();
  return tensor;
}

}  // namespace tokenlearner
