// The common part of all launchers: raise the shared memory limit if needed, launch, and classify the CUDA
// runtime's error.
#pragma once

#include <cuda_runtime_api.h>

#include <limits>

#include "kernels/cuda/device.hpp"
#include "kernels/status.hpp"

namespace tokenlearner::kernels::cuda {

/**
 * A kernel that needs more dynamic shared memory than this (in bytes) must raise its limit before a launch.
 */
inline constexpr std::size_t kDefaultSharedBytes = 48 * 1024;
inline constexpr std::int64_t kMostGridX = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t kMostGridYZ = 65535;

/**
 * Sets a kernel's limit of dynamic shared memory to the device's maximum. It is always the maximum, never
 * what one launch needs: the threads of a process share the kernel's limit, so one could lower it under
 * another one's launch. A device with less than `needed` bytes refuses the launch.
 */
inline Status raise_shared_limit(const void* kernel, std::size_t needed) {
  int device = 0;
  int most = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess)
    error = cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  // CUDA itself would call this an invalid value.
  if (error == cudaSuccess && needed > static_cast<std::size_t>(most)) error = cudaErrorLaunchOutOfResources;
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
    const Status raised = raise_shared_limit(reinterpret_cast<const void*>(kernel), shared_bytes);
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
