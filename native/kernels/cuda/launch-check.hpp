// What every launcher does: raise the shared memory limit where it must, launch, and classify what the
// runtime says.
#pragma once

#include <cuda_runtime_api.h>

#include <limits>

#include "kernels/cuda/device.hpp"
#include "kernels/status.hpp"

namespace tokenlearner::kernels::cuda {

/** From this on a kernel must be told of its dynamic shared memory before its launch. */
inline constexpr std::size_t kDefaultSharedBytes = 48 * 1024;
inline constexpr std::int64_t kMostGridX = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t kMostGridYZ = 65535;

/**
 * Lets a kernel have as much dynamic shared memory as the device has. Always that much, never what a launch
 * needs: the limit belongs to the kernel on the device, and lanes that lower and raise it would refuse each
 * other's launches.
 */
inline Status raise_shared_limit(const void* kernel) {
  int device = 0;
  int most = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess)
    error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (error == cudaSuccess)
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
  return status_of(error);
}

template <typename Args>
Status launch_kernel(void (*kernel)(Args), std::int64_t grid_x, std::int64_t grid_y, std::int64_t grid_z,
                     int threads, std::size_t shared_bytes, Args args, void* stream) {
  if (grid_x == 0 || grid_y == 0 || grid_z == 0) return Status::ok;
  if (grid_x > kMostGridX || grid_y > kMostGridYZ || grid_z > kMostGridYZ) return Status::unsupported;
  if (shared_bytes > kDefaultSharedBytes) {
    const Status raised = raise_shared_limit(reinterpret_cast<const void*>(kernel));
    if (raised != Status::ok) return raised;
  }
  void* arguments[] = {&args};
  const dim3 grid(static_cast<unsigned>(grid_x), static_cast<unsigned>(grid_y),
                  static_cast<unsigned>(grid_z));
  return status_of(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid,
                                    dim3(static_cast<unsigned>(threads)), arguments, shared_bytes,
                                    static_cast<cudaStream_t>(stream)));
}

}  // namespace tokenlearner::kernels::cuda
