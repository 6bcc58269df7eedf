#include "kernels/cuda/copy.hpp"

#include <cuda_runtime_api.h>

#include "kernels/cuda/device.hpp"

namespace tokenlearner::kernels::cuda {

Status copy_async(void* target, const void* source, std::size_t bytes, void* stream) {
  // The addresses say which memory is the host's.
  return status_of(
      cudaMemcpyAsync(target, source, bytes, cudaMemcpyDefault, static_cast<cudaStream_t>(stream)));
}

}  // namespace tokenlearner::kernels::cuda
