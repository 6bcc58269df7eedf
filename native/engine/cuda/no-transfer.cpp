// For builds without CUDA kernels: libtorch makes all copies.
#include "engine/cuda/transfer.hpp"
#include "engine/error.hpp"

namespace tokenlearner {

bool can_start_copies(Device) { return false; }

void start_copy(Device, const Storage&, void*, const void*, std::size_t) {
  throw Error(ErrorCode::ERR_LIBTORCH, "This addon was built without CUDA kernels");
}

}  // namespace tokenlearner
