// The maps A by wgmma, for sm_90. The product, the epilogue and the packed operands are the same as in
// maps-mma-body.hpp.
//
// A thread block owns 128 pixels and one group. Its last warp is the producer. One of its threads starts bulk
// copies of whole blocks: a chunk of pixels and of hidden rows per stage. Each copy completes on the stage's
// `full` barrier. Two warpgroups own 64 pixels each. They multiply stage after stage and return each stage on
// its `empty` barrier, warp by warp. The second one starts later, so that the epilogue of one overlaps the
// product of the other, while the producer already loads the next tile. A warpgroup starts the product of a
// chunk before the last one has ended, so the tensor cores do not wait for the barriers between them.
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
// There are two shapes. Wide: 256 hidden rows per tile and 4 stages, one thread block per multiprocessor. It
// has the fewest bytes per product and suits many channels. Narrow: 128 rows and 3 stages, two thread blocks
// per multiprocessor (with one plane). With few channels the epilogue takes as long as the product; the other
// thread block uses the tensor cores during that time. The producer is one warp, not a warpgroup. This leaves
// 168 or 96 registers per thread without setmaxnreg (warps are placed four at a time, so the ninth counts as
// four).
//
// For the bits see Note [Bits that do not depend on the batch].
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/tiling.hpp"
#include "kernels/cuda/warp-tile.hpp"

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

template <class Traits, class Machine>
struct MapsWgmma {
  static constexpr int kRegisters = Traits::kHiddenTile / 2;
  static constexpr int kConsumerWarps = 4 * Traits::kConsumers;
  static constexpr MmaKind kKind = mma_kind(Traits::kPrecision);
  using Accumulators = float[kRegisters];

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
      machine.bulk_copy(offset + static_cast<std::uint32_t>((plane * blocks + i) * kBlockBytes),
                        source + plane * kBlockBytes, kBlockBytes, full_barrier);
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

  /** The producer. One thread runs it. */
  TOKENLEARNER_KERNEL_BODY void produce() {
    const std::int64_t first_pixel_block = static_cast<std::int64_t>(machine.block_x()) * Traits::kConsumers;
    int stage = 0;
    int use = 0;
    for (int tile = 0; tile < tiles; ++tile) {
      const std::int64_t first_block =
          static_cast<std::int64_t>(group) * args.hidden_blocks + (first_tile + tile) * Traits::kHiddenBlocks;
      for (int chunk = 0; chunk < args.chunks; ++chunk) {
        const auto offset = static_cast<std::uint32_t>(stage * Traits::kStageBytes);
        machine.barrier_wait(empty(stage), empty_parity(use));
        machine.barrier_expect(full(stage), Traits::kStageBytes);
        for (int i = 0; i < Traits::kConsumers; ++i) {
          copy_block(offset, Traits::kConsumers, i,
                     args.x_blocks + ((first_pixel_block + i) * args.chunks + chunk) * Traits::kPlaneBytes,
                     full(stage));
        }
        for (int i = 0; i < Traits::kHiddenBlocks; ++i) {
          copy_block(offset + Traits::kHiddenOffset, Traits::kHiddenBlocks, i,
                     args.weight_blocks + ((first_block + i) * args.chunks + chunk) * Traits::kPlaneBytes,
                     full(stage));
        }
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

  TOKENLEARNER_KERNEL_BODY static std::uint32_t pixel_offset(std::uint32_t stage, int plane, int consumer,
                                                             int step) {
    return stage + static_cast<std::uint32_t>((plane * Traits::kConsumers + consumer) * kBlockBytes +
                                              step * kStepBytes);
  }
  TOKENLEARNER_KERNEL_BODY static std::uint32_t hidden_offset(std::uint32_t stage, int plane, int step) {
    return stage +
           static_cast<std::uint32_t>(Traits::kHiddenOffset + plane * Traits::kHiddenBlocks * kBlockBytes +
                                      step * kStepBytes);
  }

  template <int kSteps>
  TOKENLEARNER_KERNEL_BODY void multiply_planes(Accumulators& sums, std::uint32_t stage, int consumer,
                                                int pixel_plane, int hidden_plane, int first_step,
                                                bool accumulate) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < kSteps; ++i) {
      machine.template wgmma<kKind, Traits::kHiddenTile>(
          sums, pixel_offset(stage, pixel_plane, consumer, first_step + i),
          hidden_offset(stage, hidden_plane, first_step + i), accumulate || i > 0);
    }
  }

  /** Starts the product of one chunk in the 16-bit modes and tf32. */
  TOKENLEARNER_KERNEL_BODY void start_chunk(Accumulators& hidden, std::uint32_t stage, int consumer,
                                            bool accumulate) {
    machine.wgmma_fence(hidden);
    multiply_planes<kStepsPerChunk>(hidden, stage, consumer, 0, 0, 0, accumulate);
    machine.wgmma_commit();
  }

  /** Multiplies one chunk in float32: see Note [Truncation] in warp-tile.hpp. */
  TOKENLEARNER_KERNEL_BODY void multiply_split_chunk(Accumulators& hidden, std::uint32_t stage,
                                                     int consumer) {
    TOKENLEARNER_UNROLL
    for (int step = 0; step < kStepsPerChunk; step += kStepsPerSum) {
      Accumulators part;
      machine.wgmma_fence(part);
      multiply_planes<kStepsPerSum>(part, stage, consumer, 1, 0, step, false);
      multiply_planes<kStepsPerSum>(part, stage, consumer, 0, 1, step, true);
      multiply_planes<kStepsPerSum>(part, stage, consumer, 0, 0, step, true);
      machine.wgmma_commit();
      machine.template wgmma_wait<0>();
      machine.wgmma_fence(part);
      TOKENLEARNER_UNROLL
      for (int i = 0; i < kRegisters; ++i) hidden[i] += part[i];
    }
  }

  TOKENLEARNER_KERNEL_BODY int head_start() const { return min_of(Traits::kHeadStart, tiles * args.chunks); }

  /** Returns a stage to the producer. The first warpgroup thereby gives the second one its start. */
  TOKENLEARNER_KERNEL_BODY void release(int consumer, int stage, int use) {
    if (machine.thread() % 32 != 0) return;
    machine.barrier_arrive(empty(stage));
    if (consumer == 0 && use == 0 && stage == head_start() - 1) machine.barrier_arrive(started());
  }

  /**
   * Computes one tile of the hidden layer, before the bias, in `hidden`. A chunk's product starts before the
   * last one has ended: then its stage is released.
   */
  TOKENLEARNER_KERNEL_BODY void multiply_tile(Accumulators& hidden, int consumer, int& stage, int& use) {
    int last_stage = 0;
    int last_use = 0;
    for (int chunk = 0; chunk < args.chunks; ++chunk) {
      machine.barrier_wait(full(stage), static_cast<std::uint32_t>(use) % 2);
      start_chunk(hidden, static_cast<std::uint32_t>(stage * Traits::kStageBytes), consumer, chunk > 0);
      if (chunk > 0) {
        machine.template wgmma_wait<1>();
        release(consumer, last_stage, last_use);
      }
      last_stage = stage;
      last_use = use;
      advance(stage, use);
    }
    machine.template wgmma_wait<0>();
    machine.wgmma_fence(hidden);
    release(consumer, last_stage, last_use);
  }

  /** The same in float32. */
  TOKENLEARNER_KERNEL_BODY void multiply_split_tile(Accumulators& hidden, int consumer, int& stage,
                                                    int& use) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < kRegisters; ++i) hidden[i] = 0.0f;
    for (int chunk = 0; chunk < args.chunks; ++chunk) {
      machine.barrier_wait(full(stage), static_cast<std::uint32_t>(use) % 2);
      multiply_split_chunk(hidden, static_cast<std::uint32_t>(stage * Traits::kStageBytes), consumer);
      release(consumer, stage, use);
      advance(stage, use);
    }
  }

  /**
   * For this thread's two pixel rows, the sum of w2 gelu(h + b1) over the tile's hidden rows. All four
   * threads of a quad get it.
   */
  TOKENLEARNER_KERNEL_BODY void reduce_tile(float (&tile_sums)[2], const Accumulators& hidden,
                                            std::uint32_t vectors) {
    constexpr GeluForm kForm = gelu_form(Traits::kPrecision);
    const int lane = machine.thread() % 4;
    tile_sums[0] = 0.0f;
    tile_sums[1] = 0.0f;
    TOKENLEARNER_UNROLL
    for (int j = 0; j < Traits::kHiddenTile / 8; ++j) {
      const Float4 v =
          machine.template shared<Float4>(vectors + static_cast<std::uint32_t>(j * 4 + lane) * 16);
      TOKENLEARNER_UNROLL
      for (int half = 0; half < 2; ++half) {
        const float* h = &hidden[j * 4 + half * 2];
        tile_sums[half] = fmaf(v.z, gelu<kForm>(h[0] + v.x), tile_sums[half]);
        tile_sums[half] = fmaf(v.w, gelu<kForm>(h[1] + v.y), tile_sums[half]);
      }
    }
    TOKENLEARNER_UNROLL
    for (int half = 0; half < 2; ++half) {
      tile_sums[half] += machine.shuffle_xor(tile_sums[half], 1);
      tile_sums[half] += machine.shuffle_xor(tile_sums[half], 2);
    }
  }

  /** The pixel of this thread's row number `half`. */
  TOKENLEARNER_KERNEL_BODY std::int64_t pixel(int half) const {
    const int consumer = machine.thread() / 128;
    const int local = machine.thread() % 128;
    return static_cast<std::int64_t>(machine.block_x()) * kWgmmaTilePixels + consumer * kBlockRows +
           local / 32 * 16 + half * 8 + local % 32 / 4;
  }

  TOKENLEARNER_KERNEL_BODY void write_partials(const float (&tile_sums)[2], int tile) const {
    if (machine.thread() % 4 != 0) return;
    for (int half = 0; half < 2; ++half) {
      const std::int64_t n = pixel(half);
      const std::int64_t row = static_cast<std::int64_t>(tile) * args.tokens + group;
      if (n < args.pixel_count) args.partials[row * args.partial_stride + n] = tile_sums[half];
    }
  }

  TOKENLEARNER_KERNEL_BODY void write_attention(const float (&sums)[2]) const {
    if (machine.thread() % 4 != 0) return;
    for (int half = 0; half < 2; ++half) {
      const std::int64_t n = pixel(half);
      if (n >= args.pixel_count) continue;
      const std::int64_t image = n / args.pixels;
      args.attention.data[image * args.attention.batch_stride + group * args.attention.token_stride + n -
                          image * args.pixels] = sums[half] + args.token_bias[group];
    }
  }

  TOKENLEARNER_KERNEL_BODY void consume() {
    Accumulators hidden;
    float sums[2] = {0.0f, 0.0f};
    int stage = 0;
    int use = 0;
    const int consumer = machine.thread() / 128;
    if (consumer > 0 && head_start() > 0) machine.barrier_wait(started(), 0);
    for (int tile = 0; tile < tiles; ++tile) {
      if constexpr (Traits::kPlanes == 1) {
        multiply_tile(hidden, consumer, stage, use);
      } else {
        multiply_split_tile(hidden, consumer, stage, use);
      }
      const int slot = tile % Traits::kVectorStages;
      machine.barrier_wait(vectors_full(slot), static_cast<std::uint32_t>(tile / Traits::kVectorStages) % 2);
      float tile_sums[2];
      reduce_tile(tile_sums, hidden, vector_offset(slot));
      machine.finish_reads();
      if (machine.thread() % 32 == 0) machine.barrier_arrive(vectors_empty(slot));
      if (args.splits > 1) write_partials(tile_sums, first_tile + tile);
      sums[0] += tile_sums[0];
      sums[1] += tile_sums[1];
    }
    if (args.splits == 1) write_attention(sums);
  }

  TOKENLEARNER_KERNEL_BODY void run() {
    initialise();
    if (machine.thread() < 128 * Traits::kConsumers) {
      consume();
    } else if (machine.thread() % 32 == 0) {
      produce();
    }
  }
};

/** Grid: (tiles of 128 pixels, splits, groups). */
template <class Traits, class Machine>
TOKENLEARNER_KERNEL_BODY void maps_wgmma_body(Machine& machine, const MapsArgs& args) {
  const int first = machine.block_y() * args.tiles_per_split;
  MapsWgmma<Traits, Machine> maps{machine, args, machine.block_z(), first,
                                  min_of(args.tiles - first, args.tiles_per_split)};
  maps.run();
}

}  // namespace tokenlearner::kernels::cuda
