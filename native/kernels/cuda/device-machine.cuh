// The Machine of a real GPU: see Note [Machines] in portable.hpp. Nearly every function is one PTX
// instruction. The functions that need sm_90 are in wgmma-machine.cuh.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/cuda/tiling.hpp"

namespace tokenlearner::kernels::cuda {

extern __shared__ __align__(1024) unsigned char dynamic_shared_memory[];

class DeviceMachine {
 public:
  __device__ __forceinline__ DeviceMachine()
      : shared_base_(static_cast<std::uint32_t>(__cvta_generic_to_shared(dynamic_shared_memory))) {}

  __device__ __forceinline__ static int thread() { return static_cast<int>(threadIdx.x); }
  __device__ __forceinline__ static int block_x() { return static_cast<int>(blockIdx.x); }
  __device__ __forceinline__ static int block_y() { return static_cast<int>(blockIdx.y); }
  __device__ __forceinline__ static int block_z() { return static_cast<int>(blockIdx.z); }
  __device__ __forceinline__ static void sync() { __syncthreads(); }
  /** Waits for the warp's lanes. They see each other's accesses to shared memory before it. */
  __device__ __forceinline__ static void sync_warp() { __syncwarp(); }

  template <typename T>
  __device__ __forceinline__ static T& shared(std::uint32_t offset) {
    return *reinterpret_cast<T*>(dynamic_shared_memory + offset);
  }

  __device__ __forceinline__ void copy16(std::uint32_t target, const void* source) const {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_base_ + target), "l"(source)
                 : "memory");
  }
  __device__ __forceinline__ static void commit_copies() {
    asm volatile("cp.async.commit_group;" ::: "memory");
  }
  template <int kLeft>
  __device__ __forceinline__ static void wait_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
  }

  __device__ __forceinline__ void load_matrices(std::uint32_t (&words)[4], std::uint32_t row_offset) const {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(shared_base_ + row_offset)
                 : "memory");
  }

  template <MmaKind kKind>
  __device__ __forceinline__ static void multiply(float (&sums)[4], const std::uint32_t (&a)[4],
                                                  std::uint32_t b0, std::uint32_t b1) {
#define TOKENLEARNER_MMA(shape_and_types)                                         \
  asm volatile("mma.sync.aligned." shape_and_types                                \
               " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])       \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))
    if constexpr (kKind == MmaKind::bfloat16) {
      TOKENLEARNER_MMA("m16n8k16.row.col.f32.bf16.bf16.f32");
    } else if constexpr (kKind == MmaKind::float16) {
      TOKENLEARNER_MMA("m16n8k16.row.col.f32.f16.f16.f32");
    } else {
      TOKENLEARNER_MMA("m16n8k8.row.col.f32.tf32.tf32.f32");
    }
#undef TOKENLEARNER_MMA
  }

  __device__ __forceinline__ static float shuffle_xor(float value, int mask) {
    return __shfl_xor_sync(0xffffffffu, value, mask);
  }

  __device__ __forceinline__ static std::uint32_t ticket(std::uint32_t* counter, std::uint32_t count) {
    return atomicInc(counter, count - 1u);
  }
  __device__ __forceinline__ static void fence_device() { __threadfence(); }
  __device__ __forceinline__ static float load_fresh(const float* at) { return __ldcg(at); }

 protected:
  std::uint32_t shared_base_;
};

}  // namespace tokenlearner::kernels::cuda
