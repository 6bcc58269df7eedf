// A Machine (see Note [Machines] in portable.hpp) on the host: one thread block at a time, a thread a
// fiber. host-block.hpp has the block.
//
// It uses every freedom that the contracts give. Shared memory starts as NaN. An asynchronous copy arrives
// only when its thread waits for it. A bulk copy makes its target NaN at once; its bytes arrive at once in every
// second block, and in the others only when every thread waits. A wgmma reads its operands only when its group
// is waited for. So a missing wait, or a buffer reused too early, gives wrong numbers. These throw: a bulk copy to
// memory that a thread has read without calling finish_reads(), or to an operand of a wgmma that is not waited
// for; a copy that arrives after its block has ended; a use of a barrier that is not initialised. Tensor cores
// add with truncation.
#pragma once

#include <array>
#include <bitset>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/tiling.hpp"

namespace tokenlearner::kernels::cuda::test {

/** Rounds towards zero, as tensor cores add. */
inline float truncate_to_float(double value) {
  auto result = static_cast<float>(value);
  if (std::fabs(static_cast<double>(result)) > std::fabs(value)) result = std::nextafterf(result, 0.0f);
  return result;
}

/** A matrix operand's `index`-th element (of 2 or 4 bytes) in a 32-bit word. */
inline double operand(MmaKind kind, std::uint32_t word, int index) {
  if (kind == MmaKind::tf32) return float_of(word & 0xffffe000u);
  const auto bits = static_cast<std::uint16_t>(word >> (16 * index));
  return kind == MmaKind::bfloat16 ? bfloat16_to_float(bits) : half_to_float(bits);
}

/** If set, receives the warpgroup of each wgmma group, in the order in which they finish. */
inline std::vector<int>* wgmma_log = nullptr;

struct Dimensions {
  int x = 1, y = 1, z = 1;
};

class Block;

/** One thread's view of its block. */
class HostMachine {
 public:
  HostMachine(Block& block, int thread) : block_(&block), thread_(thread) {}

  int thread() const { return thread_; }
  int block_x() const;
  int block_y() const;
  int block_z() const;
  int grid_x() const;
  void sync();
  void sync_warp();

  template <typename T>
  T& shared(std::uint32_t offset) const {
    reading_.set(offset / kGranule);
    return *reinterpret_cast<T*>(shared_bytes(offset, sizeof(T)));
  }

  void copy16(std::uint32_t target, const void* source);
  void commit_copies();
  template <int kLeft>
  void wait_copies() {
    wait_copies_until(kLeft);
  }

  void load_matrices(std::uint32_t (&words)[4], std::uint32_t row_offset);
  template <MmaKind kKind>
  void multiply(float (&sums)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
    multiply_warp(kKind, sums, a, b0, b1);
  }
  float shuffle_xor(float value, int mask);

  // Producer and consumers: mbarriers, bulk copies, wgmma.
  void barrier_init(std::uint32_t barrier, int arrivals);
  void fence_barriers() {}
  void finish_reads();
  void barrier_expect(std::uint32_t barrier, std::uint32_t bytes);
  void barrier_arrive(std::uint32_t barrier);
  void barrier_wait(std::uint32_t barrier, std::uint32_t parity);
  void bulk_copy(std::uint32_t target, const void* source, std::uint32_t bytes, std::uint32_t barrier);

  template <MmaKind kKind, int kColumns>
  void wgmma(float (&sums)[kColumns / 2], std::uint32_t a, std::uint32_t b, bool accumulate) {
    wgmma_group(kKind, kColumns, sums, a, b, accumulate);
  }
  template <int kRegisters>
  void wgmma_fence(float (&)[kRegisters]) {}
  void wgmma_commit();
  template <int kLeft>
  void wgmma_wait() {
    wgmma_wait_until(kLeft);
  }

  /** Counts up to `count`, then from 0 again; returns the number of tickets before this one. */
  std::uint32_t ticket(std::uint32_t* counter, std::uint32_t count) {
    const std::uint32_t before = *counter;
    *counter = before + 1 < count ? before + 1 : 0;
    return before;
  }
  void fence_device() {}
  /** Device memory that another block wrote during this launch. */
  float load_fresh(const float* at) const { return *at; }

 private:
  /** Bytes of shared memory whose reads are tracked as one; divides every target of a bulk copy. */
  static constexpr std::uint32_t kGranule = 1024;
  static constexpr std::size_t kMostShared = 256 * 1024;

  std::uint8_t* shared_bytes(std::uint32_t offset, std::size_t bytes) const;
  void wait_copies_until(std::size_t left);
  /** True if this thread may still read some of those bytes: by ordinary loads, or by a wgmma. */
  bool reads(std::uint32_t target, std::uint32_t bytes) const;
  bool multiplies(std::uint32_t target, std::uint32_t bytes) const;
  void multiply_warp(MmaKind kind, float (&sums)[4], const std::uint32_t (&a)[4], std::uint32_t b0,
                     std::uint32_t b1);
  void wgmma_group(MmaKind kind, int columns, float* sums, std::uint32_t a, std::uint32_t b, bool accumulate);
  void wgmma_wait_until(std::size_t left);
  /** Runs `last` once when all `size` threads from `first` have come, then lets all go on. */
  void gather(int first, int size, const std::function<void()>& last);

  struct Copy {
    std::uint32_t target;
    const void* source;
  };
  struct Wgmma {
    MmaKind kind;
    int columns;
    float* sums;
    std::uint32_t a, b;
    bool accumulate;
  };

  /** This thread's part of a product. `local`: its number in the warpgroup. */
  void run_wgmma(const Wgmma& product, int local);

  Block* block_;
  int thread_;
  std::vector<Copy> open_;
  std::vector<std::vector<Copy>> committed_;
  std::vector<Wgmma> open_products_;
  std::vector<std::vector<Wgmma>> committed_products_;

  /** By granule: since the last finish_reads(). */
  mutable std::bitset<kMostShared / kGranule> reading_;

  // Collective operations read these of other threads.
  std::array<std::uint32_t, 4> a_ = {};
  std::array<std::uint32_t, 2> b_ = {};
  float* sums_ = nullptr;
  std::uint32_t row_offset_ = 0;
  std::array<std::uint32_t, 4> words_ = {};
  float value_ = 0.0f;

  friend class Block;
};

}  // namespace tokenlearner::kernels::cuda::test
