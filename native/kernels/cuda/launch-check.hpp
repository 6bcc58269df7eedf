// The common part of all launchers: raise the shared memory limit if needed, launch, and classify the CUDA
// runtime's error.
#pragma once

#include <cuda_runtime_api.h>

#include <limits>

#include "kernels/cuda/device.hpp"
#include "kernels/cuda/shared-limit.hpp"
#include "kernels/status.hpp"

namespace tokenlearner::kernels::cuda {

/**
 * A kernel that needs more dynamic shared memory than this (in bytes) must raise its limit before a launch.
 */
inline constexpr std::size_t kDefaultSharedBytes = 48 * 1024;
inline constexpr std::int64_t kMostGridX = std::numeric_limits<std::int32_t>::max();
inline constexpr std::int64_t kMostGridYZ = 65535;

/**
 * Sets a kernel's limit of dynamic shared memory to the current device's maximum, and stores that. A device with
 * less than `needed` bytes refuses.
 */
inline Status raise_shared_limit(const void* kernel, int device, std::size_t needed, std::size_t* most) {
  int bytes = 0;
  cudaError_t error = cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  *most = static_cast<std::size_t>(bytes);
  // CUDA itself would call this an invalid value.
  if (error == cudaSuccess && needed > *most) error = cudaErrorLaunchOutOfResources;
  if (error == cudaSuccess)
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  return status_of(error);
}

/** The same once per device. The fast path is one load, beside the thread's current device. */
inline Status ensure_shared_limit(SharedLimit& limit, const void* kernel, std::size_t needed) {
  int device = 0;
  const cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) return status_of(error);
  return limit.ensure(device, needed, [&](std::size_t bytes, std::size_t* most) {
    return raise_shared_limit(kernel, device, bytes, most);
  });
}

/** `limit` belongs to the kernel. Kernels that never need more than kDefaultSharedBytes have none. */
template <typename Args>
Status launch_kernel(void (*kernel)(Args), std::int64_t grid_x, std::int64_t grid_y, std::int64_t grid_z,
                     int threads, std::size_t shared_bytes, Args args, void* stream,
                     SharedLimit* limit = nullptr) {
  if (grid_x == 0 || grid_y == 0 || grid_z == 0) return Status::ok;
  if (grid_x > kMostGridX || grid_y > kMostGridYZ || grid_z > kMostGridYZ) return Status::unsupported;
  if (limit != nullptr && shared_bytes > kDefaultSharedBytes) {
    const Status raised = ensure_shared_limit(*limit, reinterpret_cast<const void*>(kernel), shared_bytes);
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
