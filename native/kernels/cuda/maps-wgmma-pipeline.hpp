// How the tiles of maps-wgmma-body.hpp come to shared memory and go from it: stages, barriers, the producer.
//
// Note: [The second warpgroup starts later]
// Both warpgroups take the same stages. If they started together, they would also finish each tile together:
// during both epilogues the tensor cores would have no work. So the second one first waits until the first one
// has released kHeadStart stages, once.
//
// Why the distance lasts: while one warpgroup is in its epilogue, the other one has the tensor cores for
// itself and multiplies twice as fast. The first one's epilogue lets the second one catch up by as much as the
// second one's epilogue lets the first one get ahead. A chunk of the wide shape in bfloat16 takes 512 clocks of
// the tensor cores, and an epilogue about 1,100. So two stages hide most of it. A third would leave the
// producer one stage to load ahead.
//
// Why it cannot wait forever: the first warpgroup releases min(kHeadStart, all) stages without the second one.
// For this it needs at most kHeadStart + 1 stages, since the next chunk's product starts before a stage is
// released. This is their first use and that of the vector slots of their tiles, so the producer does not wait
// for anyone. After that, the second warpgroup waits only for the producer, as the first one does.
//
// The producer cannot wait forever either. Say it waits for the stage of iteration p, so for the release of
// iteration p - kStages. A warpgroup that waits for iteration j >= p has released all up to j - 2, and one that
// waits for j < p goes on, since j is loaded. If the producer waits for a vector slot of tile t, it has
// already started the copies of the tile's first stage. So no warpgroup waits before that stage, and both
// finish the epilogue of tile t - 2.
//
// Note: [Two thread blocks share W1]
// With kCluster = 2, two thread blocks that are neighbours in the grid's x form a cluster. They have the same
// group and the same hidden rows, so the same number of iterations, and other pixels. Each producer loads its
// own pixels, and half of each stage's blocks of W1, which it multicasts to both. The sums and their order are
// the same as without clusters. A multiprocessor then asks L2 for 32 bytes a clock instead of 48 in the wide
// shape, and for 24 KiB a chunk instead of 32 in the narrow one.
//
// - `full` of a stage counts the bytes of both producers, but only its own producer's arrival. The other
//   producer's bytes may come before this block's barrier_expect(): the phase cannot end without the arrival.
//   They cannot come a phase early: the other producer has waited until this block released the stage.
// - `empty` of a stage counts the warps of both blocks, since each producer writes to both. Every warp arrives
//   in both blocks. The vectors are not shared.
// - Nobody uses the other block's shared memory before its barriers are initialised: a cluster barrier. No
//   block ends while the other one may still arrive at its barriers: another one. All copies to a block have
//   ended when its warpgroups have, since they waited for each of them.
// - An odd number of pixel tiles is rounded up. The last block has no pixels. It loads its half of W1 for the
//   other one, and releases each stage without a product. It reads no pixels and writes nothing.
//
// Why it cannot wait forever: each first warpgroup gets its head start as before, since both producers start
// the first use of every stage without waiting for anyone. Of two producers that wait, take the one with the
// earlier next iteration p. All iterations before p are started by both, so they are loaded in both blocks.
// Then what the Note above says of warpgroups holds for those of both blocks: each has released iteration
// p - kStages, and those of its own block have finished tile t - 2. A warpgroup can also wait for the vectors of
// a tile, if that has only one chunk. Then it has released the stages of all tiles up to this one and finished
// the tile before. So this producer goes on.
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/tiling.hpp"

namespace tokenlearner::kernels::cuda {

inline constexpr int kWgmmaTilePixels = 128;
inline constexpr int kWideHiddenTile = 256;
/** Thread blocks. See Note [Two thread blocks share W1]. */
inline constexpr int kMostCluster = 2;

/** `kClusterValue` is 1 or 2: the number of thread blocks in a cluster. */
template <Precision kPrecisionValue, int kHiddenTileValue, int kClusterValue>
struct WgmmaTraits {
  static constexpr Precision kPrecision = kPrecisionValue;
  static constexpr int kCluster = kClusterValue;
  static constexpr int kPlanes = planes_of(kPrecision);
  static constexpr int kHiddenTile = kHiddenTileValue;
  static constexpr int kStages = kHiddenTile == kWideHiddenTile ? 4 : 3;
  /** See Note [The second warpgroup starts later]. */
  static constexpr int kHeadStart = kStages / 2;
  static constexpr int kConsumers = kWgmmaTilePixels / kBlockRows;
  static constexpr int kThreads = 128 * kConsumers + 32;
  static constexpr int kBlocksPerMultiprocessor = kHiddenTile == kWideHiddenTile || kPlanes == 2 ? 1 : 2;

  static constexpr int kHiddenBlocks = kHiddenTile / kBlockRows;
  /** The blocks of W1 that one thread block loads for a stage. */
  static constexpr int kLoadedBlocks = kHiddenBlocks / kCluster;
  static_assert(kCluster == 1 || (kCluster == kMostCluster && kLoadedBlocks * kCluster == kHiddenBlocks));
  static constexpr int kPlaneBytes = kBlockBytes * kPlanes;
  /**
   * Holds the pixel blocks, then the hidden blocks. Each part has plane 0 of all its blocks, then plane 1.
   */
  static constexpr int kStageBytes = kPlaneBytes * (kConsumers + kHiddenBlocks);
  static constexpr int kHiddenOffset = kPlaneBytes * kConsumers;
  static constexpr int kVectorBytes = kHiddenTile * 2 * 4;
  static constexpr int kVectorStages = 2;
  static constexpr int kVectorOffset = kStages * kStageBytes;
  static constexpr int kBarrierOffset = kVectorOffset + kVectorStages * kVectorBytes;
  static constexpr int kBarriers = 2 * (kStages + kVectorStages) + 1;
  static_assert(kConsumers == 2 && kHeadStart >= 1 && kHeadStart < kStages && kHeadStart <= kVectorStages);
  static constexpr int kSharedBytes = kBarrierOffset + kBarriers * 8;
};

/** The stages and slots of one thread block. It owns `tiles` tiles of a group's hidden rows from `first_tile` on. */
template <class Traits, class Machine>
struct WgmmaPipeline {
  static constexpr int kConsumerWarps = 4 * Traits::kConsumers;

  Machine& machine;
  const MapsArgs& args;
  int group, first_tile, tiles;

  TOKENLEARNER_KERNEL_BODY static constexpr std::uint32_t barrier(int index) {
    return static_cast<std::uint32_t>(Traits::kBarrierOffset + index * 8);
  }
  TOKENLEARNER_KERNEL_BODY static std::uint32_t full(int stage) { return barrier(stage); }
  TOKENLEARNER_KERNEL_BODY static std::uint32_t empty(int stage) { return barrier(Traits::kStages + stage); }
  TOKENLEARNER_KERNEL_BODY static std::uint32_t vectors_full(int slot) {
    return barrier(2 * Traits::kStages + slot);
  }
  TOKENLEARNER_KERNEL_BODY static std::uint32_t vectors_empty(int slot) {
    return barrier(2 * Traits::kStages + Traits::kVectorStages + slot);
  }
  /** Completes when the first warpgroup has its head start. */
  TOKENLEARNER_KERNEL_BODY static std::uint32_t started() { return barrier(Traits::kBarriers - 1); }
  TOKENLEARNER_KERNEL_BODY static std::uint32_t vector_offset(int slot) {
    return static_cast<std::uint32_t>(Traits::kVectorOffset + slot * Traits::kVectorBytes);
  }

  TOKENLEARNER_KERNEL_BODY void initialise() {
    if (machine.thread() == 0) {
      for (int i = 0; i < Traits::kStages; ++i) {
        machine.barrier_init(full(i), 1);
        machine.barrier_init(empty(i), kConsumerWarps * Traits::kCluster);
      }
      for (int i = 0; i < Traits::kVectorStages; ++i) {
        machine.barrier_init(vectors_full(i), 1);
        machine.barrier_init(vectors_empty(i), kConsumerWarps);
      }
      machine.barrier_init(started(), kConsumerWarps / Traits::kConsumers);
      machine.fence_barriers();
    }
    sync();
  }

  /** All threads that use this block's shared memory. */
  TOKENLEARNER_KERNEL_BODY void sync() {
    if constexpr (Traits::kCluster == 1) {
      machine.sync();
    } else {
      machine.cluster_sync();
    }
  }

  /** False in a block that only completes its cluster. */
  TOKENLEARNER_KERNEL_BODY bool has_pixels() const {
    return Traits::kCluster == 1 ||
           static_cast<std::int64_t>(machine.block_x()) * kWgmmaTilePixels < args.pixel_count;
  }

  /** An unused stage or slot is empty: the first wait has parity 1 and returns at once. */
  TOKENLEARNER_KERNEL_BODY static std::uint32_t empty_parity(int use) {
    return static_cast<std::uint32_t>(use + 1) % 2;
  }

  /**
   * Copies block `i` of an operand with `blocks` blocks to the stage at `offset`. There, each plane of the
   * operand is contiguous. `kShared`: to all blocks of the cluster.
   */
  template <bool kShared>
  TOKENLEARNER_KERNEL_BODY void copy_block(std::uint32_t offset, int blocks, int i,
                                           const std::uint8_t* source, std::uint32_t full_barrier) {
    TOKENLEARNER_UNROLL
    for (int plane = 0; plane < Traits::kPlanes; ++plane) {
      const std::uint32_t target = offset + static_cast<std::uint32_t>((plane * blocks + i) * kBlockBytes);
      if constexpr (kShared && Traits::kCluster > 1) {
        machine.bulk_copy_multicast(target, source + plane * kBlockBytes, kBlockBytes, full_barrier,
                                    (1u << Traits::kCluster) - 1);
      } else {
        machine.bulk_copy(target, source + plane * kBlockBytes, kBlockBytes, full_barrier);
      }
    }
  }

  TOKENLEARNER_KERNEL_BODY void load_vectors(int tile) {
    const int use = tile / Traits::kVectorStages;
    const int slot = tile % Traits::kVectorStages;
    machine.barrier_wait(vectors_empty(slot), empty_parity(use));
    machine.barrier_expect(vectors_full(slot), Traits::kVectorBytes);
    const std::int64_t row = static_cast<std::int64_t>(group) * args.hidden_blocks * kBlockRows +
                             (first_tile + tile) * Traits::kHiddenTile;
    machine.bulk_copy(vector_offset(slot), args.bias_and_scale + row / 2, Traits::kVectorBytes,
                      vectors_full(slot));
  }

  /** Starts the copies of this block's pixels. */
  TOKENLEARNER_KERNEL_BODY void load_pixels(int stage, int chunk) {
    const auto offset = static_cast<std::uint32_t>(stage * Traits::kStageBytes);
    const std::int64_t first = static_cast<std::int64_t>(machine.block_x()) * Traits::kConsumers;
    TOKENLEARNER_UNROLL
    for (int i = 0; i < Traits::kConsumers; ++i) {
      copy_block<false>(offset, Traits::kConsumers, i,
                        args.x_blocks + ((first + i) * args.chunks + chunk) * Traits::kPlaneBytes,
                        full(stage));
    }
  }

  /** Starts the copies of this block's part of W1. */
  TOKENLEARNER_KERNEL_BODY void load_hidden(int stage, int tile, int chunk, int rank) {
    const auto offset = static_cast<std::uint32_t>(stage * Traits::kStageBytes + Traits::kHiddenOffset);
    const std::int64_t first =
        static_cast<std::int64_t>(group) * args.hidden_blocks + (first_tile + tile) * Traits::kHiddenBlocks;
    TOKENLEARNER_UNROLL
    for (int i = 0; i < Traits::kLoadedBlocks; ++i) {
      const int block = rank * Traits::kLoadedBlocks + i;
      copy_block<true>(offset, Traits::kHiddenBlocks, block,
                       args.weight_blocks + ((first + block) * args.chunks + chunk) * Traits::kPlaneBytes,
                       full(stage));
    }
  }

  /** The producer. One thread runs it. */
  TOKENLEARNER_KERNEL_BODY void produce() {
    int rank = 0;
    if constexpr (Traits::kCluster > 1) rank = machine.cluster_rank();
    const bool pixels = has_pixels();
    int stage = 0;
    int use = 0;
    for (int tile = 0; tile < tiles; ++tile) {
      for (int chunk = 0; chunk < args.chunks; ++chunk) {
        machine.barrier_wait(empty(stage), empty_parity(use));
        machine.barrier_expect(full(stage),
                               pixels ? Traits::kStageBytes : Traits::kStageBytes - Traits::kHiddenOffset);
        if (pixels) load_pixels(stage, chunk);
        load_hidden(stage, tile, chunk, rank);
        if (chunk == 0 && pixels) load_vectors(tile);
        advance(stage, use);
      }
    }
  }

  TOKENLEARNER_KERNEL_BODY static void advance(int& stage, int& use) {
    if (++stage < Traits::kStages) return;
    stage = 0;
    ++use;
  }

  TOKENLEARNER_KERNEL_BODY int head_start() const { return min_of(Traits::kHeadStart, tiles * args.chunks); }

  /** Returns a stage to the producers that write to it. Called by whole warps. */
  TOKENLEARNER_KERNEL_BODY void return_stage(int stage) {
    const int lane = machine.thread() % 32;
    if (lane >= Traits::kCluster) return;
    if constexpr (Traits::kCluster == 1) {
      machine.barrier_arrive(empty(stage));
    } else {
      machine.barrier_arrive_in(lane, empty(stage));
    }
  }

  /** Returns a stage. The first warpgroup thereby gives the second one its start. */
  TOKENLEARNER_KERNEL_BODY void release(int consumer, int stage, int use) {
    return_stage(stage);
    const bool last_of_start = consumer == 0 && use == 0 && stage == head_start() - 1;
    if (last_of_start && machine.thread() % 32 == 0) machine.barrier_arrive(started());
  }

  /** What a consumer does without pixels. */
  TOKENLEARNER_KERNEL_BODY void return_all() {
    int stage = 0;
    int use = 0;
    for (int i = 0; i < tiles * args.chunks; ++i) {
      machine.barrier_wait(full(stage), static_cast<std::uint32_t>(use) % 2);
      return_stage(stage);
      advance(stage, use);
    }
  }
};

}  // namespace tokenlearner::kernels::cuda
