// The additions of sm_90a to DeviceMachine: mbarriers, bulk copies and wgmma. Compiled only for sm_90a.
//
// A descriptor (PTX ISA, "Matrix descriptor") names an operand of wgmma in shared memory. It has the address
// and the stride between groups of 8 rows, both in units of 16 bytes, and the swizzle. The reduction is
// contiguous and a row has 128 bytes. So a step along the reduction moves the address by 32 bytes within the
// swizzled row.
#pragma once

#include "kernels/cuda/device-machine.cuh"
#include "kernels/cuda/wgmma-operands.cuh"

namespace tokenlearner::kernels::cuda {

class WgmmaMachine : public DeviceMachine {
 public:
  __device__ __forceinline__ void barrier_init(std::uint32_t barrier, int arrivals) const {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_base_ + barrier), "r"(arrivals)
                 : "memory");
  }
  /** Makes the initial state of the barriers visible to bulk copies. */
  __device__ __forceinline__ static void fence_barriers() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  }
  __device__ __forceinline__ void barrier_expect(std::uint32_t barrier, std::uint32_t bytes) const {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_base_ + barrier),
                 "r"(bytes)
                 : "memory");
  }
  __device__ __forceinline__ void barrier_arrive(std::uint32_t barrier) const {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_base_ + barrier) : "memory");
  }
  /**
   * Called by whole warps. Later bulk copies write to shared memory only after the warp's ordinary loads have
   * read it. An arrival alone orders threads, but not bulk copies (PTX ISA, "Async proxy").
   */
  __device__ __forceinline__ static void finish_reads() {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    sync_warp();
  }
  /** Waits until the phase with this parity has completed. */
  __device__ __forceinline__ void barrier_wait(std::uint32_t barrier, std::uint32_t parity) const {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra again;\n"
        "}\n" ::"r"(shared_base_ + barrier),
        "r"(parity)
        : "memory");
  }
  __device__ __forceinline__ void bulk_copy(std::uint32_t target, const void* source, std::uint32_t bytes,
                                            std::uint32_t barrier) const {
    asm volatile(
        "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
            shared_base_ + target),
        "l"(source), "r"(bytes), "r"(shared_base_ + barrier)
        : "memory");
  }

  template <MmaKind kKind, int kColumns>
  __device__ __forceinline__ void wgmma(float (&sums)[kColumns / 2], std::uint32_t a, std::uint32_t b,
                                        bool accumulate) const {
    WgmmaInstruction<kKind, kColumns>::issue(sums, descriptor(a), descriptor(b), accumulate ? 1 : 0);
  }
  /** Also stops the compiler from moving uses of the accumulators across it. */
  template <int kRegisters>
  __device__ __forceinline__ static void wgmma_fence(float (&sums)[kRegisters]) {
#pragma unroll
    for (int i = 0; i < kRegisters; ++i) asm volatile("" : "+f"(sums[i])::"memory");
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  }
  __device__ __forceinline__ static void wgmma_commit() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
  }
  template <int kLeft>
  __device__ __forceinline__ static void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kLeft) : "memory");
  }

 private:
  __device__ __forceinline__ std::uint64_t descriptor(std::uint32_t offset) const {
    constexpr std::uint64_t kRowGroupStride = 8 * kRowBytes / 16;
    constexpr std::uint64_t kSwizzle128 = 1;
    const std::uint64_t address = ((shared_base_ + offset) & 0x3ffffu) >> 4;
    return address | (std::uint64_t{1} << 16) | (kRowGroupStride << 32) | (kSwizzle128 << 62);
  }
};

}  // namespace tokenlearner::kernels::cuda
