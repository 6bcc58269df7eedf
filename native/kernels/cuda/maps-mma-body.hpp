// The maps A by mma.sync: the first product, with bias, GELU and the dot product with w2 as its epilogue. The
// hidden layer is only in registers.
//
// A thread block of 8 warps owns 128 pixels and one group (in float32: 4 warps, 64 pixels). It loops over the
// group's hidden rows in tiles of 128, and within a tile over chunks of channels. cp.async loads the next chunk
// during the product of this one. A warp owns 32 pixels by 64 hidden rows. Two thread blocks share a
// multiprocessor of an A100, so a thread has 128 registers.
//
// On an A100 the tensor cores take 256 clocks for a step of 32 bytes of 128 x 128. Shared memory takes as long:
// 64 clocks to write the step, and 8 x 24 for the warps' fragments. With 64 x 128 it took 112 %.
//
// Note: [Bits that do not depend on the batch]
// Each tile's sum over its hidden rows is reduced separately, and the tiles' sums are added in order. This
// holds if one thread block computes all tiles, and also if several share them (splits, chosen by how full
// the GPU is). A pixel's column of the product takes the same instructions in the same order at every
// position in a tile.
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/warp-tile.hpp"

namespace tokenlearner::kernels::cuda {

/** The pixels of a thread block. With two planes, the stages of 128 pixels would not fit in shared memory. */
constexpr int mma_tile_pixels(Precision precision) {
  return planes_of(precision) == 1 ? 2 * kBlockRows : kBlockRows;
}

template <Precision kPrecisionValue>
struct MmaTraits {
  static constexpr Precision kPrecision = kPrecisionValue;
  static constexpr int kPlanes = planes_of(kPrecision);
  static constexpr int kStages = 2;
  static constexpr int kPixels = mma_tile_pixels(kPrecision);
  static constexpr int kPixelBlocks = kPixels / kBlockRows;
  /** Two warps for every kWarpPixels pixels. */
  static constexpr int kThreads = 2 * kPixels;
  static constexpr int kHiddenTile = 128;
  static constexpr int kHiddenBlocks = kHiddenTile / kBlockRows;
  /** The number of sums per pixel and tile: one for each warp along the hidden rows. */
  static constexpr int kPartialLanes = 2;
  static constexpr int kPlaneBytes = kBlockBytes * kPlanes;
  /** Holds the pixel blocks, then the hidden blocks, each with its planes. */
  static constexpr int kStageBytes = kPlaneBytes * (kPixelBlocks + kHiddenBlocks);
  /** Holds b1 and w2 of a tile. */
  static constexpr int kVectorBytes = kHiddenTile * 2 * 4;
  static constexpr int kVectorOffset = kStages * kStageBytes;
  static constexpr int kSumOffset = kVectorOffset + kStages * kVectorBytes;
  static constexpr int kSharedBytes = kSumOffset + kPartialLanes * kPixels * 4;
};

/** All threads of a thread block together copy `kBytes` contiguous bytes, asynchronously. */
template <int kThreads, int kBytes, class Machine>
TOKENLEARNER_KERNEL_BODY void copy_block(Machine& machine, std::uint32_t target, const std::uint8_t* source) {
  static_assert(kBytes % (kThreads * kUnitBytes) == 0);
  TOKENLEARNER_UNROLL
  for (int i = 0; i < kBytes / (kThreads * kUnitBytes); ++i) {
    const int offset = (i * kThreads + machine.thread()) * kUnitBytes;
    machine.copy16(target + static_cast<std::uint32_t>(offset), source + offset);
  }
}

template <class Traits, class Machine>
struct MapsMma {
  using Warp = WarpTile<Traits::kPrecision, kBlockRows, kBlockBytes, kBlockBytes, Machine>;

  static constexpr int kWarpsPerBlock = kBlockRows / kWarpPixels;

  Machine& machine;
  const MapsArgs& args;
  int group, first_tile, iterations;
  int warp_pixel, warp_hidden;
  Warp warp;

  TOKENLEARNER_KERNEL_BODY static std::uint32_t stage_offset(int it) {
    return static_cast<std::uint32_t>(it % Traits::kStages * Traits::kStageBytes);
  }

  TOKENLEARNER_KERNEL_BODY std::uint32_t vector_offset(int tile) const {
    return static_cast<std::uint32_t>(Traits::kVectorOffset +
                                      (tile - first_tile) % Traits::kStages * Traits::kVectorBytes);
  }

  /**
   * Starts the copies of iteration `it` into its stage. After the last one, empty groups keep the count
   * right.
   */
  TOKENLEARNER_KERNEL_BODY void load(int it) {
    if (it < iterations) {
      const int tile = first_tile + it / args.chunks;
      const int chunk = it % args.chunks;
      const std::uint32_t stage = stage_offset(it);
      const std::int64_t pixel_block = static_cast<std::int64_t>(machine.block_x()) * Traits::kPixelBlocks;
      TOKENLEARNER_UNROLL
      for (int i = 0; i < Traits::kPixelBlocks; ++i) {
        copy_block<Traits::kThreads, Traits::kPlaneBytes>(
            machine, stage + Traits::kPlaneBytes * i,
            args.x_blocks + ((pixel_block + i) * args.chunks + chunk) * Traits::kPlaneBytes);
      }
      const std::int64_t block =
          static_cast<std::int64_t>(group) * args.hidden_blocks + tile * Traits::kHiddenBlocks;
      TOKENLEARNER_UNROLL
      for (int i = 0; i < Traits::kHiddenBlocks; ++i) {
        copy_block<Traits::kThreads, Traits::kPlaneBytes>(
            machine, stage + Traits::kPlaneBytes * (Traits::kPixelBlocks + i),
            args.weight_blocks + ((block + i) * args.chunks + chunk) * Traits::kPlaneBytes);
      }
      if (chunk == 0) load_vectors(tile);
    }
    machine.commit_copies();
  }

  TOKENLEARNER_KERNEL_BODY void load_vectors(int tile) {
    const int offset = machine.thread() * kUnitBytes;
    if (offset >= Traits::kVectorBytes) return;
    const std::int64_t row =
        static_cast<std::int64_t>(group) * args.hidden_blocks * kBlockRows + tile * Traits::kHiddenTile;
    machine.copy16(vector_offset(tile) + static_cast<std::uint32_t>(offset),
                   reinterpret_cast<const std::uint8_t*>(args.bias_and_scale + row / 2) + offset);
  }

  TOKENLEARNER_KERNEL_BODY std::int64_t first_pixel() const {
    return static_cast<std::int64_t>(machine.block_x()) * Traits::kPixels;
  }

  TOKENLEARNER_KERNEL_BODY void write_partials(const float (&tile_sums)[2][2], int tile) const {
    if (warp.lane % 4 != 0) return;
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 4; ++i) {
      const std::int64_t n = first_pixel() + warp_pixel * kWarpPixels + warp.pixel_row(i / 2, i % 2);
      const std::int64_t row =
          (static_cast<std::int64_t>(warp_hidden) * args.tiles + tile) * args.tokens + group;
      if (n < args.pixel_count) args.partials[row * args.partial_stride + n] = tile_sums[i / 2][i % 2];
    }
  }

  TOKENLEARNER_KERNEL_BODY void write_attention(const float (&sums)[2][2]) {
    if (warp.lane % 4 == 0) {
      TOKENLEARNER_UNROLL
      for (int i = 0; i < 4; ++i) {
        const int slot =
            warp_hidden * Traits::kPixels + warp_pixel * kWarpPixels + warp.pixel_row(i / 2, i % 2);
        machine.template shared<float>(static_cast<std::uint32_t>(Traits::kSumOffset + slot * 4)) =
            sums[i / 2][i % 2];
      }
    }
    machine.sync();
    const int row = machine.thread();
    const std::int64_t n = first_pixel() + row;
    if (row >= Traits::kPixels || n >= args.pixel_count) return;
    const auto first = static_cast<std::uint32_t>(Traits::kSumOffset + row * 4);
    const float sum =
        machine.template shared<float>(first) + machine.template shared<float>(first + Traits::kPixels * 4);
    const std::int64_t image = n / args.pixels;
    args.attention.data[image * args.attention.batch_stride + group * args.attention.token_stride + n -
                        image * args.pixels] = sum + args.token_bias[group];
  }

  TOKENLEARNER_KERNEL_BODY void run() {
    for (int it = 0; it < Traits::kStages - 1; ++it) load(it);
    typename Warp::Accumulators hidden;
    Warp::clear(hidden);
    float sums[2][2] = {{0.0f, 0.0f}, {0.0f, 0.0f}};
    int chunk = 0;
    int tile = first_tile;
    for (int it = 0; it < iterations; ++it) {
      machine.template wait_copies<Traits::kStages - 2>();
      machine.sync();
      load(it + Traits::kStages - 1);
      const std::uint32_t stage = stage_offset(it);
      const auto pixels = static_cast<std::uint32_t>(warp_pixel / kWarpsPerBlock * Traits::kPlaneBytes);
      warp.accumulate(hidden, stage + pixels, warp_pixel % kWarpsPerBlock * kWarpPixels,
                      stage + Traits::kPlaneBytes * (Traits::kPixelBlocks + warp_hidden), 0);
      if (++chunk < args.chunks) continue;
      float tile_sums[2][2];
      warp.reduce(tile_sums, hidden, vector_offset(tile) + warp_hidden * (Traits::kVectorBytes / 2));
      Warp::clear(hidden);
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
template <class Traits, class Machine>
TOKENLEARNER_KERNEL_BODY void maps_mma_body(Machine& machine, const MapsArgs& args) {
  using Maps = MapsMma<Traits, Machine>;
  const int first = machine.block_y() * args.tiles_per_split;
  const int tiles = min_of(args.tiles - first, args.tiles_per_split);
  const int warp = machine.thread() / 32;
  Maps maps{machine,
            args,
            machine.block_z(),
            first,
            tiles * args.chunks,
            warp / 2,
            warp % 2,
            typename Maps::Warp{machine, machine.thread() % 32}};
  maps.run();
}

}  // namespace tokenlearner::kernels::cuda
