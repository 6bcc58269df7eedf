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
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/tiling.hpp"

namespace tokenlearner::kernels::cuda {

inline constexpr int kWgmmaTilePixels = 128;
inline constexpr int kWideHiddenTile = 256;

template <Precision kPrecisionValue, int kHiddenTileValue>
struct WgmmaTraits {
  static constexpr Precision kPrecision = kPrecisionValue;
  static constexpr int kPlanes = planes_of(kPrecision);
  static constexpr int kHiddenTile = kHiddenTileValue;
  static constexpr int kStages = kHiddenTile == kWideHiddenTile ? 4 : 3;
  /** See Note [The second warpgroup starts later]. */
  static constexpr int kHeadStart = kStages / 2;
  static constexpr int kConsumers = kWgmmaTilePixels / kBlockRows;
  static constexpr int kThreads = 128 * kConsumers + 32;
  static constexpr int kBlocksPerMultiprocessor = kHiddenTile == kWideHiddenTile || kPlanes == 2 ? 1 : 2;

  static constexpr int kHiddenBlocks = kHiddenTile / kBlockRows;
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
        machine.barrier_init(empty(i), kConsumerWarps);
      }
      for (int i = 0; i < Traits::kVectorStages; ++i) {
        machine.barrier_init(vectors_full(i), 1);
        machine.barrier_init(vectors_empty(i), kConsumerWarps);
      }
      machine.barrier_init(started(), kConsumerWarps / Traits::kConsumers);
      machine.fence_barriers();
    }
    machine.sync();
  }

  /** An unused stage or slot is empty: the first wait has parity 1 and returns at once. */
  TOKENLEARNER_KERNEL_BODY static std::uint32_t empty_parity(int use) {
    return static_cast<std::uint32_t>(use + 1) % 2;
  }

  /**
   * Copies block `i` of an operand with `blocks` blocks to the stage at `offset`. There, each plane of the
   * operand is contiguous.
   */
  TOKENLEARNER_KERNEL_BODY void copy_block(std::uint32_t offset, int blocks, int i,
                                           const std::uint8_t* source, std::uint32_t full_barrier) {
    TOKENLEARNER_UNROLL
    for (int plane = 0; plane < Traits::kPlanes; ++plane) {
      const std::uint32_t target = offset + static_cast<std::uint32_t>((plane * blocks + i) * kBlockBytes);
      machine.bulk_copy(target, source + plane * kBlockBytes, kBlockBytes, full_barrier);
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

  /** Starts the copies of a chunk of the pixels. */
  TOKENLEARNER_KERNEL_BODY void load_pixels(int stage, int chunk) {
    const auto offset = static_cast<std::uint32_t>(stage * Traits::kStageBytes);
    const std::int64_t first = static_cast<std::int64_t>(machine.block_x()) * Traits::kConsumers;
    TOKENLEARNER_UNROLL
    for (int i = 0; i < Traits::kConsumers; ++i) {
      copy_block(offset, Traits::kConsumers, i,
                 args.x_blocks + ((first + i) * args.chunks + chunk) * Traits::kPlaneBytes, full(stage));
    }
  }

  /** Starts the copies of a chunk of the tile's hidden rows. */
  TOKENLEARNER_KERNEL_BODY void load_hidden(int stage, int tile, int chunk) {
    const auto offset = static_cast<std::uint32_t>(stage * Traits::kStageBytes + Traits::kHiddenOffset);
    const std::int64_t first =
        static_cast<std::int64_t>(group) * args.hidden_blocks + (first_tile + tile) * Traits::kHiddenBlocks;
    TOKENLEARNER_UNROLL
    for (int i = 0; i < Traits::kHiddenBlocks; ++i) {
      copy_block(offset, Traits::kHiddenBlocks, i,
                 args.weight_blocks + ((first + i) * args.chunks + chunk) * Traits::kPlaneBytes, full(stage));
    }
  }

  /** The producer. One thread runs it. */
  TOKENLEARNER_KERNEL_BODY void produce() {
    int stage = 0;
    int use = 0;
    for (int tile = 0; tile < tiles; ++tile) {
      for (int chunk = 0; chunk < args.chunks; ++chunk) {
        machine.barrier_wait(empty(stage), empty_parity(use));
        machine.barrier_expect(full(stage), Traits::kStageBytes);
        load_pixels(stage, chunk);
        load_hidden(stage, tile, chunk);
        if (chunk == 0) load_vectors(tile);
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

  /** Returns a stage. The first warpgroup thereby gives the second one its start. Called by whole warps. */
  TOKENLEARNER_KERNEL_BODY void release(int consumer, int stage, int use) {
    if (machine.thread() % 32 != 0) return;
    machine.barrier_arrive(empty(stage));
    if (consumer == 0 && use == 0 && stage == head_start() - 1) machine.barrier_arrive(started());
  }
};

}  // namespace tokenlearner::kernels::cuda
