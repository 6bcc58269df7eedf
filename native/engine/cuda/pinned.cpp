#include "engine/cuda/staging.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

Tensor empty_pinned(const Dims& shape, DType dtype) {
  Tensor tensor = aten::empty(shape, dtype, Device::cpu(), true);
  tensor.storage.set_pinned();
  return tensor;
}

Storage host_storage(std::size_t bytes, bool pinned) {
  if (!pinned) return Storage::allocate(bytes, false);
  return empty_pinned({static_cast<int64_t>(bytes)}, DType::uint8).storage;
}

}  // namespace tokenlearner
