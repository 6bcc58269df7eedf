// Maps and tokens of an image in one launch. It is for work of a few microseconds, where every launch costs a
// noticeable share of the time.
//
// A thread block of 4 warps owns 32 pixels, one group and one split of its hidden rows. It gathers its pixels
// directly from x and keeps all their channels in shared memory. The chunks of hidden rows stream in by
// cp.async. A warp owns the 32 pixels by 32 hidden rows of each tile of 128.
//
// Two counters replace a second launch. The last split of a tile to finish adds the sums of all splits, in
// order. The result is A for the tile. It writes A and the tile's part of y. The last tile of an image's
// group adds these parts, in order. Any block may be the last, but the result is the same.
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/maps-mma-body.hpp"
#include "kernels/cuda/pack-body.hpp"
#include "kernels/cuda/warp-reduce.hpp"

namespace tokenlearner::kernels::cuda {

inline constexpr int kSmallTilePixels = kWarpPixels;
inline constexpr int kSmallWarps = 4;

struct SmallArgs {
  ImageView x;
  int channels = 0;
  MapsArgs maps;      // x_blocks is not used
  TokensArgs tokens;  // the output; segment_sums holds the tiles' parts of y, [image][group][tile][C]
  int pixel_tiles = 0;
  /** Zero at the start and at the end. split_counters is [image][group][tile], tile_counters is [image][group]. */
  std::uint32_t* split_counters = nullptr;
  std::uint32_t* tile_counters = nullptr;
};

template <Precision kPrecisionValue>
struct SmallTraits {
  static constexpr Precision kPrecision = kPrecisionValue;
  static constexpr int kPlanes = planes_of(kPrecision);
  static constexpr int kStages = kPlanes == 1 ? 3 : 2;
  static constexpr int kThreads = 32 * kSmallWarps;
  static constexpr int kHiddenTile = 128;
  static constexpr int kHiddenBlocks = kHiddenTile / kBlockRows;
  static constexpr int kPlaneBytes = kBlockBytes * kPlanes;
  static constexpr int kStageBytes = kPlaneBytes * kHiddenBlocks;
  static constexpr int kVectorBytes = kHiddenTile * 2 * 4;
  static constexpr int kVectorOffset = kStages * kStageBytes;
  static constexpr int kSumOffset = kVectorOffset + kStages * kVectorBytes;
  /** The block's own A, followed by the ticket. */
  static constexpr int kMapOffset = kSumOffset + kSmallWarps * kSmallTilePixels * 4;
  static constexpr int kTicketOffset = kMapOffset + kSmallTilePixels * 4;
  static constexpr int kPixelOffset = round_up(kTicketOffset + 16, 1024);
  static constexpr int kPixelPlaneBytes = kSmallTilePixels * kRowBytes;
  static constexpr int kPixelChunkBytes = kPixelPlaneBytes * kPlanes;
};

constexpr std::size_t small_shared_bytes(Precision precision, std::int64_t chunks) {
  const int offset = planes_of(precision) == 1 ? SmallTraits<Precision::tf32>::kPixelOffset
                                               : SmallTraits<Precision::float32>::kPixelOffset;
  return static_cast<std::size_t>(offset) +
         static_cast<std::size_t>(chunks) * (kSmallTilePixels * kRowBytes * planes_of(precision));
}

template <class Traits, class Machine>
struct MapsSmall {
  using Warp = WarpTile<Traits::kPrecision, kSmallTilePixels, Traits::kPixelPlaneBytes, kBlockBytes, Machine>;

  Machine& machine;
  const SmallArgs& args;
  std::int64_t image;
  int tile, group, first_hidden_tile, iterations;
  int warp_index;
  Warp warp;

  TOKENLEARNER_KERNEL_BODY std::int64_t first_pixel() const {
    return static_cast<std::int64_t>(tile) * kSmallTilePixels;
  }
  TOKENLEARNER_KERNEL_BODY const float* partial(int lane, int hidden_tile) const {
    const std::int64_t row =
        (static_cast<std::int64_t>(lane) * args.maps.tiles + hidden_tile) * args.maps.tokens + group;
    return args.maps.partials + row * args.maps.partial_stride + image * args.maps.pixels + first_pixel();
  }
  TOKENLEARNER_KERNEL_BODY std::int64_t x_offset(int channel, std::int64_t pixel) const {
    return image * args.x.batch_stride + channel * args.x.channel_stride + args.x.pixel_offset(pixel);
  }
  TOKENLEARNER_KERNEL_BODY std::uint32_t vector_offset(int hidden_tile) const {
    return static_cast<std::uint32_t>(Traits::kVectorOffset + (hidden_tile - first_hidden_tile) %
                                                                  Traits::kStages * Traits::kVectorBytes);
  }

  TOKENLEARNER_KERNEL_BODY void load(int it) {
    if (it < iterations) {
      const int hidden_tile = first_hidden_tile + it / args.maps.chunks;
      const int chunk = it % args.maps.chunks;
      const std::int64_t block =
          static_cast<std::int64_t>(group) * args.maps.hidden_blocks + hidden_tile * Traits::kHiddenBlocks;
      TOKENLEARNER_UNROLL
      for (int i = 0; i < Traits::kHiddenBlocks; ++i) {
        copy_block<Traits::kThreads, Traits::kPlaneBytes>(
            machine,
            static_cast<std::uint32_t>(it % Traits::kStages * Traits::kStageBytes + i * Traits::kPlaneBytes),
            args.maps.weight_blocks + ((block + i) * args.maps.chunks + chunk) * Traits::kPlaneBytes);
      }
      const int offset = machine.thread() * kUnitBytes;
      if (chunk == 0 && offset < Traits::kVectorBytes) {
        const std::int64_t row = static_cast<std::int64_t>(group) * args.maps.hidden_blocks * kBlockRows +
                                 hidden_tile * Traits::kHiddenTile;
        machine.copy16(vector_offset(hidden_tile) + static_cast<std::uint32_t>(offset),
                       reinterpret_cast<const std::uint8_t*>(args.maps.bias_and_scale + row / 2) + offset);
      }
    }
    machine.commit_copies();
  }

  /** Copies all channels of the block's pixels to shared memory, converted. Writes zeros beyond the image. */
  TOKENLEARNER_KERNEL_BODY void gather_pixels() {
    constexpr int kChannels = Unit<Traits::kPrecision>::kChannels;
    const int row = machine.thread() % kSmallTilePixels;
    const bool inside = first_pixel() + row < args.maps.pixels;
    const auto* source = static_cast<const typename Unit<Traits::kPrecision>::Element*>(args.x.data) +
                         x_offset(0, inside ? first_pixel() + row : 0);
    for (int unit = warp_index; unit < args.maps.chunks * kUnitsPerRow; unit += kSmallWarps) {
      const int channel = unit * kChannels;
      const auto chunk =
          static_cast<std::uint32_t>(Traits::kPixelOffset + unit / kUnitsPerRow * Traits::kPixelChunkBytes);
      place<Traits::kPrecision>(
          machine, row, unit % kUnitsPerRow,
          load_unit<Traits::kPrecision>(source + channel * args.x.channel_stride, args.x.channel_stride,
                                        inside ? args.channels - channel : 0, args.x.channel_units),
          chunk, Traits::kPixelPlaneBytes);
    }
  }

  TOKENLEARNER_KERNEL_BODY void write_partials(const float (&tile_sums)[2][2], int hidden_tile) const {
    if (warp.lane % 4 != 0) return;
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int row = warp.pixel_row(i / 2, i % 2);
      if (first_pixel() + row >= args.maps.pixels) continue;
      const_cast<float*>(partial(warp_index, hidden_tile))[row] = tile_sums[i / 2][i % 2];
    }
  }

  TOKENLEARNER_KERNEL_BODY void compute_maps(float (&sums)[2][2]) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 4; ++i) sums[i / 2][i % 2] = 0.0f;
    typename Warp::Accumulators hidden;
    Warp::clear(hidden);
    int chunk = 0;
    int hidden_tile = first_hidden_tile;
    for (int it = 0; it < iterations; ++it) {
      machine.template wait_copies<Traits::kStages - 2>();
      machine.sync();
      load(it + Traits::kStages - 1);
      const auto stage = static_cast<std::uint32_t>(it % Traits::kStages * Traits::kStageBytes);
      warp.accumulate(
          hidden, static_cast<std::uint32_t>(Traits::kPixelOffset + chunk * Traits::kPixelChunkBytes), 0,
          stage + static_cast<std::uint32_t>(warp_index / 2 * Traits::kPlaneBytes), warp_index % 2 * 32);
      if (++chunk < args.maps.chunks) continue;
      float tile_sums[2][2];
      warp.reduce(tile_sums, hidden,
                  vector_offset(hidden_tile) +
                      static_cast<std::uint32_t>(warp_index * Traits::kVectorBytes / kSmallWarps));
      Warp::clear(hidden);
      if (args.maps.splits > 1) write_partials(tile_sums, hidden_tile);
      TOKENLEARNER_UNROLL
      for (int i = 0; i < 4; ++i) sums[i / 2][i % 2] += tile_sums[i / 2][i % 2];
      chunk = 0;
      ++hidden_tile;
    }
  }

  /**
   * True in every thread of the last of `count` blocks to call this, which sets the counter back to zero.
   * Everything that the other blocks have written before their call is visible to the last one.
   */
  TOKENLEARNER_KERNEL_BODY bool is_last(std::uint32_t* counter, int count) {
    machine.fence_device();
    machine.sync();
    auto& ticket = machine.template shared<std::uint32_t>(Traits::kTicketOffset);
    if (machine.thread() == 0) ticket = machine.ticket(counter, static_cast<std::uint32_t>(count));
    machine.sync();
    const bool last = ticket == static_cast<std::uint32_t>(count - 1);
    machine.fence_device();
    machine.sync();
    return last;
  }

  /** The sum over all hidden rows for this thread's pixel. 0 in threads beyond the tile's pixels. */
  TOKENLEARNER_KERNEL_BODY float pixel_sum(const float (&sums)[2][2]) {
    const int row = machine.thread();
    if (args.maps.splits == 1) {
      if (warp.lane % 4 == 0) {
        TOKENLEARNER_UNROLL
        for (int i = 0; i < 4; ++i) {
          const int slot = warp_index * kSmallTilePixels + warp.pixel_row(i / 2, i % 2);
          machine.template shared<float>(static_cast<std::uint32_t>(Traits::kSumOffset + slot * 4)) =
              sums[i / 2][i % 2];
        }
      }
      machine.sync();
    }
    if (row >= kSmallTilePixels || first_pixel() + row >= args.maps.pixels) return 0.0f;
    float total = 0.0f;
    for (int i = 0; i < kSmallWarps; ++i) {
      float sum = 0.0f;
      if (args.maps.splits == 1) {
        sum = machine.template shared<float>(
            static_cast<std::uint32_t>(Traits::kSumOffset + (i * kSmallTilePixels + row) * 4));
      } else {
        for (int t = 0; t < args.maps.tiles; ++t) sum += machine.load_fresh(partial(i, t) + row);
      }
      total += sum;
    }
    return total + args.maps.token_bias[group];
  }

  TOKENLEARNER_KERNEL_BODY void write_maps(const float (&sums)[2][2]) {
    const float value = pixel_sum(sums);
    const int row = machine.thread();
    if (row < kSmallTilePixels) {
      machine.template shared<float>(static_cast<std::uint32_t>(Traits::kMapOffset + row * 4)) = value;
      if (first_pixel() + row < args.maps.pixels) {
        args.maps.attention.data[image * args.maps.attention.batch_stride +
                                 group * args.maps.attention.token_stride + first_pixel() + row] = value;
      }
    }
    machine.sync();
  }

  TOKENLEARNER_KERNEL_BODY float* share(int of_tile) const {
    return args.tokens.segment_sums +
           ((image * args.maps.tokens + group) * args.pixel_tiles + of_tile) * args.channels;
  }

  /**
   * For every channel, the sum of x A over the tile's pixels. Each warp takes kShareChannels channels at a
   * time, its lanes the pixels. Lane i writes the sum of channel i.
   */
  TOKENLEARNER_KERNEL_BODY void write_share() {
    constexpr int kShareChannels = 16;
    constexpr DType kDType = element_dtype(Traits::kPrecision);
    const bool inside = first_pixel() + warp.lane < args.maps.pixels;
    const float a =
        machine.template shared<float>(static_cast<std::uint32_t>(Traits::kMapOffset + warp.lane * 4));
    for (int first = warp_index * kShareChannels; first < args.channels;
         first += kSmallWarps * kShareChannels) {
      float sums[kShareChannels];
      TOKENLEARNER_UNROLL
      for (int i = 0; i < kShareChannels; ++i) {
        const bool exists = inside && first + i < args.channels;
        sums[i] = exists
                      ? a * load_element<kDType>(args.x.data, x_offset(first + i, first_pixel() + warp.lane))
                      : 0.0f;
      }
      const float sum = reduce_to_lanes(machine, warp.lane, sums);
      const int channel = first + warp.lane;
      if (warp.lane < kShareChannels && channel < args.channels) share(tile)[channel] = sum;
    }
  }

  TOKENLEARNER_KERNEL_BODY void write_tokens() const {
    for (int c = machine.thread(); c < args.channels; c += Traits::kThreads) {
      float sum = 0.0f;
      for (int t = 0; t < args.pixel_tiles; ++t) sum += machine.load_fresh(share(t) + c);
      store_element<element_dtype(Traits::kPrecision)>(args.tokens.output,
                                                       image * args.tokens.output_batch_stride +
                                                           c * args.tokens.output_channel_stride +
                                                           group * args.tokens.output_token_stride,
                                                       sum / static_cast<float>(args.maps.pixels));
    }
  }

  TOKENLEARNER_KERNEL_BODY void run() {
    for (int it = 0; it < Traits::kStages - 1; ++it) load(it);
    gather_pixels();
    float sums[2][2];
    compute_maps(sums);
    const std::int64_t image_group = image * args.maps.tokens + group;
    if (args.maps.splits > 1 &&
        !is_last(args.split_counters + image_group * args.pixel_tiles + tile, args.maps.splits)) {
      return;
    }
    write_maps(sums);
    write_share();
    if (is_last(args.tile_counters + image_group, args.pixel_tiles)) write_tokens();
  }
};

/** Grid: (images * tiles of 32 pixels, splits, groups). */
template <class Traits, class Machine>
TOKENLEARNER_KERNEL_BODY void maps_small_body(Machine& machine, const SmallArgs& args) {
  using Maps = MapsSmall<Traits, Machine>;
  const int first = machine.block_y() * args.maps.tiles_per_split;
  const int hidden_tiles = min_of(args.maps.tiles - first, args.maps.tiles_per_split);
  Maps maps{machine,
            args,
            machine.block_x() / args.pixel_tiles,
            machine.block_x() % args.pixel_tiles,
            machine.block_z(),
            first,
            hidden_tiles * args.maps.chunks,
            machine.thread() / 32,
            typename Maps::Warp{machine, machine.thread() % 32}};
  maps.run();
}

}  // namespace tokenlearner::kernels::cuda
