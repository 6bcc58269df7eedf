// The maps A by mma.sync: the first product with bias, GELU and the dot with w2 as its epilogue. The hidden layer lives in
// registers only.
//
// A thread block of 4 warps owns 64 pixels and one group, and walks over the group's hidden rows in tiles of 128; within a
// tile over chunks of channels, kStages of them in flight by cp.async. A warp owns 32 pixels by 64 hidden rows.
//
// In float32 each chunk's three products (low*high, high*low, high*high: small before large) start from zero, and are added
// to the running sum by an ordinary float32 addition: tensor cores truncate where they add, and over a long
// reduction that bias would exceed float32's own rounding.
//
// Note: [Bits that do not depend on the batch]
// Every tile's sum over its hidden rows is reduced by itself and the tiles' sums are added in order, whether one thread block
// does all tiles or several share them (splits, chosen by how full the GPU is). A pixel's column of the product
// is computed by the same instructions in the same order wherever in a tile it lies.
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/tiling.hpp"

namespace tokenlearner::kernels::cuda {

template <Precision kPrecisionValue>
struct MmaTraits {
  static constexpr Precision kPrecision = kPrecisionValue;
  static constexpr int kPlanes = planes_of(kPrecision);
  static constexpr int kStages = kPlanes == 1 ? 3 : 2;
  static constexpr int kWarps = 4;
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kHiddenTile = 128;
  static constexpr int kHiddenBlocks = kHiddenTile / kBlockRows;
  /** Sums that a tile leaves for each pixel: one from each warp along the hidden rows. */
  static constexpr int kPartialLanes = 2;
  static constexpr int kPlaneBytes = kBlockBytes * kPlanes;
  static constexpr int kStageBytes = kPlaneBytes * (1 + kHiddenBlocks);
  /** b1 and w2 of a tile. */
  static constexpr int kVectorBytes = kHiddenTile * 2 * 4;
  static constexpr int kVectorOffset = kStages * kStageBytes;
  static constexpr int kSumOffset = kVectorOffset + kStages * kVectorBytes;
  static constexpr int kSharedBytes = kSumOffset + kPartialLanes * kBlockRows * 4;
};

/** Which row of a 16-row operand, and which byte of a step, a lane names to ldmatrix.x4. A: row halves first. */
struct MatrixLane {
  int row;
  int byte;
};
TOKENLEARNER_PORTABLE constexpr MatrixLane pixel_matrix_lane(int lane) {
  return {lane % 8 + (lane / 8 % 2) * 8, (lane / 16) * kUnitBytes};
}
/** B: two 8-row tiles, byte halves first. */
TOKENLEARNER_PORTABLE constexpr MatrixLane hidden_matrix_lane(int lane) {
  return {lane % 8 + (lane / 16) * 8, (lane / 8 % 2) * kUnitBytes};
}

template <class Traits, class Machine>
struct MapsMma {
  static constexpr int kPlanes = Traits::kPlanes;
  static constexpr MmaKind kKind = mma_kind(Traits::kPrecision);
  using Accumulators = float[2][8][4];

  Machine& machine;
  const MapsArgs& args;
  int group, first_tile, iterations;
  int lane, warp_pixel, warp_hidden;

  /** Starts the copies of iteration `it` into its stage; beyond the last one, an empty group keeps the count. */
  TOKENLEARNER_KERNEL_BODY void load(int it) {
    if (it < iterations) {
      const int tile = first_tile + it / args.chunks;
      const int chunk = it % args.chunks;
      const std::uint32_t stage = static_cast<std::uint32_t>(it % Traits::kStages) * Traits::kStageBytes;
      const std::uint8_t* x =
          args.x_blocks +
          (static_cast<std::int64_t>(machine.block_x()) * args.chunks + chunk) * Traits::kPlaneBytes;
      copy(stage, x, Traits::kPlaneBytes);
      const std::int64_t block = static_cast<std::int64_t>(group) * args.hidden_blocks + tile * Traits::kHiddenBlocks;
      for (int i = 0; i < Traits::kHiddenBlocks; ++i) {
        copy(stage + Traits::kPlaneBytes * (1 + i),
             args.weight_blocks + ((block + i) * args.chunks + chunk) * Traits::kPlaneBytes, Traits::kPlaneBytes);
      }
      if (chunk == 0) load_vectors(tile);
    }
    machine.commit_copies();
  }

  TOKENLEARNER_KERNEL_BODY void copy(std::uint32_t target, const std::uint8_t* source, int bytes) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < bytes / (Traits::kThreads * kUnitBytes); ++i) {
      const int offset = (i * Traits::kThreads + machine.thread()) * kUnitBytes;
      machine.copy16(target + static_cast<std::uint32_t>(offset), source + offset);
    }
  }

  TOKENLEARNER_KERNEL_BODY std::uint32_t vector_offset(int tile) const {
    return static_cast<std::uint32_t>(Traits::kVectorOffset + (tile - first_tile) % Traits::kStages * Traits::kVectorBytes);
  }

  TOKENLEARNER_KERNEL_BODY void load_vectors(int tile) {
    const int offset = machine.thread() * kUnitBytes;
    if (offset >= Traits::kVectorBytes) return;
    const Float4* source =
        args.bias_and_scale + (static_cast<std::int64_t>(group) * args.hidden_blocks * kBlockRows + tile * Traits::kHiddenTile) / 2;
    machine.copy16(vector_offset(tile) + static_cast<std::uint32_t>(offset),
                   reinterpret_cast<const std::uint8_t*>(source) + offset);
  }

  TOKENLEARNER_KERNEL_BODY void load_pixels(std::uint32_t (&a)[2][4], std::uint32_t stage, int plane, int step) {
    const MatrixLane at = pixel_matrix_lane(lane);
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 2; ++i) {
      machine.load_matrices(a[i], stage + plane * kBlockBytes +
                                      swizzled_offset(warp_pixel * 32 + i * 16 + at.row, step * kStepBytes + at.byte));
    }
  }

  TOKENLEARNER_KERNEL_BODY void load_hidden(std::uint32_t (&b)[4], std::uint32_t stage, int plane, int step, int pair) {
    const MatrixLane at = hidden_matrix_lane(lane);
    machine.load_matrices(b, stage + Traits::kPlaneBytes * (1 + warp_hidden) + plane * kBlockBytes +
                                 swizzled_offset(pair * 16 + at.row, step * kStepBytes + at.byte));
  }

  TOKENLEARNER_KERNEL_BODY void multiply(Accumulators& sums, const std::uint32_t (&a)[2][4],
                                         const std::uint32_t (&b)[4], int pair) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 2; ++i) {
      machine.template multiply<kKind>(sums[i][2 * pair], a[i], b[0], b[1]);
      machine.template multiply<kKind>(sums[i][2 * pair + 1], a[i], b[2], b[3]);
    }
  }

  TOKENLEARNER_KERNEL_BODY void multiply_chunk(Accumulators& sums, std::uint32_t stage) {
    TOKENLEARNER_UNROLL
    for (int step = 0; step < kStepsPerChunk; ++step) {
      std::uint32_t a[kPlanes][2][4];
      TOKENLEARNER_UNROLL
      for (int plane = 0; plane < kPlanes; ++plane) load_pixels(a[plane], stage, plane, step);
      TOKENLEARNER_UNROLL
      for (int pair = 0; pair < 4; ++pair) {
        std::uint32_t b[kPlanes][4];
        TOKENLEARNER_UNROLL
        for (int plane = 0; plane < kPlanes; ++plane) load_hidden(b[plane], stage, plane, step, pair);
        if constexpr (kPlanes == 2) {
          multiply(sums, a[1], b[0], pair);
          multiply(sums, a[0], b[1], pair);
        }
        multiply(sums, a[0], b[0], pair);
      }
    }
  }

  TOKENLEARNER_KERNEL_BODY static void clear(Accumulators& sums) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 64; ++i) sums[i / 32][i / 4 % 8][i % 4] = 0.0f;
  }

  /** One chunk into `hidden`. */
  TOKENLEARNER_KERNEL_BODY void accumulate(Accumulators& hidden, std::uint32_t stage) {
    if constexpr (kPlanes == 1) {
      multiply_chunk(hidden, stage);
    } else {
      Accumulators part;
      clear(part);
      multiply_chunk(part, stage);
      TOKENLEARNER_UNROLL
      for (int i = 0; i < 64; ++i) hidden[i / 32][i / 4 % 8][i % 4] += part[i / 32][i / 4 % 8][i % 4];
    }
  }

  /** sum over the warp's 64 hidden rows of w2 gelu(h + b1), for the pixel rows [i][half]; in every lane of a quad. */
  TOKENLEARNER_KERNEL_BODY void reduce_tile(float (&tile_sums)[2][2], const Accumulators& hidden, std::uint32_t vectors) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 4; ++i) tile_sums[i / 2][i % 2] = 0.0f;
    TOKENLEARNER_UNROLL
    for (int j = 0; j < 8; ++j) {
      const int pair = warp_hidden * 32 + j * 4 + lane % 4;
      const Float4 v = machine.template shared<Float4>(vectors + static_cast<std::uint32_t>(pair) * 16);
      TOKENLEARNER_UNROLL
      for (int i = 0; i < 4; ++i) {
        constexpr GeluForm kForm = gelu_form(Traits::kPrecision);
        const float* h = &hidden[i / 2][j][i % 2 * 2];
        float& sum = tile_sums[i / 2][i % 2];
        sum = fmaf(v.z, gelu<kForm>(h[0] + v.x), sum);
        sum = fmaf(v.w, gelu<kForm>(h[1] + v.y), sum);
      }
    }
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 4; ++i) {
      float& sum = tile_sums[i / 2][i % 2];
      sum += machine.shuffle_xor(sum, 1);
      sum += machine.shuffle_xor(sum, 2);
    }
  }

  /** The block's pixel that is row [i][half] of this lane's quad. */
  TOKENLEARNER_KERNEL_BODY int pixel_row(int i, int half) const {
    return warp_pixel * 32 + i * 16 + half * 8 + lane / 4;
  }

  TOKENLEARNER_KERNEL_BODY void write_partials(const float (&tile_sums)[2][2], int tile) {
    if (lane % 4 != 0) return;
    for (int i = 0; i < 4; ++i) {
      const std::int64_t n = static_cast<std::int64_t>(machine.block_x()) * kBlockRows + pixel_row(i / 2, i % 2);
      const std::int64_t row = (static_cast<std::int64_t>(warp_hidden) * args.tiles + tile) * args.tokens + group;
      if (n < args.pixel_count) args.partials[row * args.partial_stride + n] = tile_sums[i / 2][i % 2];
    }
  }

  TOKENLEARNER_KERNEL_BODY void write_attention(const float (&sums)[2][2]) {
    if (lane % 4 == 0) {
      for (int i = 0; i < 4; ++i) {
        const int slot = warp_hidden * kBlockRows + pixel_row(i / 2, i % 2);
        machine.template shared<float>(static_cast<std::uint32_t>(Traits::kSumOffset + slot * 4)) = sums[i / 2][i % 2];
      }
    }
    machine.sync();
    const int row = machine.thread();
    const std::int64_t n = static_cast<std::int64_t>(machine.block_x()) * kBlockRows + row;
    if (row >= kBlockRows || n >= args.pixel_count) return;
    const auto first = static_cast<std::uint32_t>(Traits::kSumOffset + row * 4);
    const float sum = machine.template shared<float>(first) + machine.template shared<float>(first + kBlockRows * 4);
    const std::int64_t image = n / args.pixels;
    args.attention.data[image * args.attention.batch_stride + group * args.attention.token_stride + n -
                        image * args.pixels] = sum + args.token_bias[group];
  }

  TOKENLEARNER_KERNEL_BODY void run() {
    TOKENLEARNER_UNROLL
    for (int it = 0; it < Traits::kStages - 1; ++it) load(it);
    Accumulators hidden;
    clear(hidden);
    float sums[2][2] = {{0.0f, 0.0f}, {0.0f, 0.0f}};
    int chunk = 0;
    int tile = first_tile;
    for (int it = 0; it < iterations; ++it) {
      machine.template wait_copies<Traits::kStages - 2>();
      machine.sync();
      load(it + Traits::kStages - 1);
      accumulate(hidden, static_cast<std::uint32_t>(it % Traits::kStages) * Traits::kStageBytes);
      if (++chunk < args.chunks) continue;
      float tile_sums[2][2];
      reduce_tile(tile_sums, hidden, vector_offset(tile));
      clear(hidden);
      if (args.splits > 1) write_partials(tile_sums, tile);
      TOKENLEARNER_UNROLL
      for (int i = 0; i < 4; ++i) sums[i / 2][i % 2] += tile_sums[i / 2][i % 2];
      chunk = 0;
      ++tile;
    }
    if (args.splits == 1) write_attention(sums);
  }
};

/** Grid: (pixel blocks, splits, groups). */
template <Precision kPrecision, class Machine>
TOKENLEARNER_KERNEL_BODY void maps_mma_body(Machine& machine, const MapsArgs& args) {
  const int first = machine.block_y() * args.tiles_per_split;
  const int tiles = min_of(args.tiles - first, args.tiles_per_split);
  const int warp = machine.thread() / 32;
  MapsMma<MmaTraits<kPrecision>, Machine> maps{
      machine, args, machine.block_z(), first, tiles * args.chunks, machine.thread() % 32, warp % 2, warp / 2};
  maps.run();
}

}  // namespace tokenlearner::kernels::cuda
