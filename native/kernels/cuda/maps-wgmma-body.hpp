// The maps A by wgmma, for sm_90. The product, the epilogue and the packed operands are the same as in
// maps-mma-body.hpp.
//
// A thread block owns 128 pixels and one group. Its last warp is the producer. One of its threads starts bulk
// copies of whole blocks: a chunk of pixels and of hidden rows per stage. Each copy completes on the stage's
// `full` barrier. Two warpgroups own 64 pixels each. They multiply stage after stage and return each stage on
// its `empty` barrier, warp by warp. The second one starts later, so that the epilogue of one overlaps the
// product of the other, while the producer already loads the next tile. A warpgroup starts the product of a
// chunk before the last one has ended, so the tensor cores do not wait for the barriers between them. The stages
// and their barriers are in maps-wgmma-pipeline.hpp.
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

#include "kernels/cuda/maps-wgmma-pipeline.hpp"
#include "kernels/cuda/warp-tile.hpp"

namespace tokenlearner::kernels::cuda {

template <class Traits, class Machine>
struct MapsWgmma {
  static constexpr int kRegisters = Traits::kHiddenTile / 2;
  static constexpr MmaKind kKind = mma_kind(Traits::kPrecision);
  using Accumulators = float[kRegisters];
  using Pipeline = WgmmaPipeline<Traits, Machine>;

  Machine& machine;
  const MapsArgs& args;
  Pipeline pipeline;

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

  /**
   * Computes one tile of the hidden layer, before the bias, in `hidden`. A chunk's product starts before the
   * last one has ended: then its stage is released.
   */
  TOKENLEARNER_KERNEL_BODY void multiply_tile(Accumulators& hidden, int consumer, int& stage, int& use) {
    int last_stage = 0;
    int last_use = 0;
    for (int chunk = 0; chunk < args.chunks; ++chunk) {
      machine.barrier_wait(pipeline.full(stage), static_cast<std::uint32_t>(use) % 2);
      start_chunk(hidden, static_cast<std::uint32_t>(stage * Traits::kStageBytes), consumer, chunk > 0);
      if (chunk > 0) {
        machine.template wgmma_wait<1>();
        pipeline.release(consumer, last_stage, last_use);
      }
      last_stage = stage;
      last_use = use;
      pipeline.advance(stage, use);
    }
    machine.template wgmma_wait<0>();
    machine.wgmma_fence(hidden);
    pipeline.release(consumer, last_stage, last_use);
  }

  /** The same in float32. */
  TOKENLEARNER_KERNEL_BODY void multiply_split_tile(Accumulators& hidden, int consumer, int& stage,
                                                    int& use) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < kRegisters; ++i) hidden[i] = 0.0f;
    for (int chunk = 0; chunk < args.chunks; ++chunk) {
      machine.barrier_wait(pipeline.full(stage), static_cast<std::uint32_t>(use) % 2);
      multiply_split_chunk(hidden, static_cast<std::uint32_t>(stage * Traits::kStageBytes), consumer);
      pipeline.release(consumer, stage, use);
      pipeline.advance(stage, use);
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
      const std::int64_t row = static_cast<std::int64_t>(tile) * args.tokens + pipeline.group;
      if (n < args.pixel_count) args.partials[row * args.partial_stride + n] = tile_sums[half];
    }
  }

  TOKENLEARNER_KERNEL_BODY void write_attention(const float (&sums)[2]) const {
    if (machine.thread() % 4 != 0) return;
    for (int half = 0; half < 2; ++half) {
      const std::int64_t n = pixel(half);
      if (n >= args.pixel_count) continue;
      const std::int64_t image = n / args.pixels;
      args.attention.data[image * args.attention.batch_stride + pipeline.group * args.attention.token_stride +
                          n - image * args.pixels] = sums[half] + args.token_bias[pipeline.group];
    }
  }

  TOKENLEARNER_KERNEL_BODY void consume() {
    Accumulators hidden;
    float sums[2] = {0.0f, 0.0f};
    int stage = 0;
    int use = 0;
    const int consumer = machine.thread() / 128;
    if (consumer > 0 && pipeline.head_start() > 0) machine.barrier_wait(pipeline.started(), 0);
    for (int tile = 0; tile < pipeline.tiles; ++tile) {
      if constexpr (Traits::kPlanes == 1) {
        multiply_tile(hidden, consumer, stage, use);
      } else {
        multiply_split_tile(hidden, consumer, stage, use);
      }
      const int slot = tile % Traits::kVectorStages;
      machine.barrier_wait(pipeline.vectors_full(slot),
                           static_cast<std::uint32_t>(tile / Traits::kVectorStages) % 2);
      float tile_sums[2];
      reduce_tile(tile_sums, hidden, pipeline.vector_offset(slot));
      machine.finish_reads();
      if (machine.thread() % 32 == 0) machine.barrier_arrive(pipeline.vectors_empty(slot));
      if (args.splits > 1) write_partials(tile_sums, pipeline.first_tile + tile);
      sums[0] += tile_sums[0];
      sums[1] += tile_sums[1];
    }
    if (args.splits == 1) write_attention(sums);
  }

  TOKENLEARNER_KERNEL_BODY void run() {
    pipeline.initialise();
    if (machine.thread() < 128 * Traits::kConsumers) {
      consume();
    } else if (machine.thread() % 32 == 0) {
      pipeline.produce();
    }
  }
};

/** Grid: (tiles of 128 pixels, splits, groups). */
template <class Traits, class Machine>
TOKENLEARNER_KERNEL_BODY void maps_wgmma_body(Machine& machine, const MapsArgs& args) {
  const int first = machine.block_y() * args.tiles_per_split;
  const int tiles = min_of(args.tiles - first, args.tiles_per_split);
  MapsWgmma<Traits, Machine> maps{machine, args, {machine, args, machine.block_z(), first, tiles}};
  maps.run();
}

}  // namespace tokenlearner::kernels::cuda
