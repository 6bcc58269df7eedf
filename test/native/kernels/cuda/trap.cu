// Breaks the context of device 0 when it is loaded, as a kernel with an illegal instruction does. test/gpu/faults.mjs opens it in a
// process of its own.
#include <cuda_runtime_api.h>

namespace {

__global__ void trap() { asm("trap;"); }

const bool done = [] {
  trap<<<1, 1>>>();
  return cudaDeviceSynchronize() != cudaSuccess;
}();

}  // namespace
