// LayerNorm of a tile of pixels and its product with the rows of W0, for any number of channels: the first half of TokenLearner
// v1.1 and TokenFuser, and of v1.0's first convolution.
//
// A thread block of 8 warps owns 32 pixels of one image. It reads them from memory once and keeps them in shared memory as they
// are: LayerNorm, the product and a later sum over the pixels read them there. Images with more channels than shared memory holds
// (kResident is false) are read again from memory, where the caches still have them: the same numbers, in the same order.
//
// LayerNorm takes two passes: the mean, then the sums of x - mean and of its square. What is left of the mean after its own
// rounding is subtracted too, so a common offset of x costs nothing. The normalised pixels are operands of the product, chunk by
// chunk, as Note [Tile images] in tiling.hpp has them. LayerNorm's scale and shift are applied to the pixels. Folded into W0, they
// would round it a second time in the 16-bit modes.
//
// A warp owns the 32 pixels by 16 rows of a tile of 64, and one half of each chunk. The halves are added at the end, in order.
#pragma once

#include <cmath>

#include "kernels/cuda/maps-mma-body.hpp"
#include "kernels/cuda/norm-rows-args.hpp"
#include "kernels/cuda/pack-body.hpp"

namespace tokenlearner::kernels::cuda {

inline constexpr int kNormPixels = kWarpPixels;
inline constexpr int kNormWarps = 8;
inline constexpr int kNormThreads = 32 * kNormWarps;
/** Rows of W0 that are multiplied at a time. */
inline constexpr int kNormRows = kBlockRows;

template <Precision kPrecision>
struct NormTraits {
  static constexpr int kPlanes = planes_of(kPrecision);
  static constexpr int kStages = 2;
  static constexpr int kPixelPlaneBytes = kNormPixels * kRowBytes;
  static constexpr int kPixelBytes = kPixelPlaneBytes * kPlanes;
  static constexpr int kRowsBytes = kBlockBytes * kPlanes;
  static constexpr int kStageBytes = kPixelBytes + kRowsBytes;
  /** One column more than there are rows, so that the lanes of a warp read different banks. */
  static constexpr int kHiddenStride = kNormRows + 1;
  static constexpr int kHiddenOffset = kStages * kStageBytes;
  static constexpr int kSumOffset = kHiddenOffset + kNormPixels * kHiddenStride * 4;
  /** The sums of the warps: of x, of x - mean, and of its square. */
  static constexpr int kSums = 3;
  /** Where the kernel's own data begins. */
  static constexpr int kFreeOffset = kSumOffset + kSums * kNormWarps * kNormPixels * 4;
  using Element = typename Unit<kPrecision>::Element;
  /** The elements from a channel to the next one in shared memory: an odd number of words. */
  static constexpr int kTileStride = kNormPixels + 4 / static_cast<int>(sizeof(Element));
};

/** Bytes of a tile's pixels in shared memory. */
constexpr std::size_t tile_bytes(Precision precision, std::int64_t channels) {
  const int stride = element_bytes(precision) == 2 ? NormTraits<Precision::bfloat16>::kTileStride
                                                   : NormTraits<Precision::float32>::kTileStride;
  return static_cast<std::size_t>(channels) * static_cast<std::size_t>(stride * element_bytes(precision));
}

template <Precision kPrecision, bool kResident, class Machine>
struct NormRows {
  using Traits = NormTraits<kPrecision>;
  using Element = typename Traits::Element;
  using Warp = WarpTile<kPrecision, 16, Traits::kPixelPlaneBytes, kBlockBytes, Machine>;
  static constexpr DType kDType = element_dtype(kPrecision);

  Machine& machine;
  const NormRowsArgs& args;
  std::int64_t image;
  /** Where the pixels are in shared memory. */
  std::uint32_t tile;
  int lane, warp;
  std::int64_t first_pixel = 0;
  int count = 0;
  /** Of this warp lane's pixel. */
  float mean = 0.0f, rest = 0.0f, inverse_deviation = 0.0f;

  TOKENLEARNER_KERNEL_BODY const Element* image_data() const {
    return static_cast<const Element*>(args.x.data) + image * args.x.batch_stride;
  }

  TOKENLEARNER_KERNEL_BODY Element& in_tile(int channel, int pixel) const {
    return machine.template shared<Element>(
        tile + static_cast<std::uint32_t>((channel * Traits::kTileStride + pixel) *
                                          static_cast<int>(sizeof(Element))));
  }

  /** x of a pixel of the tile. 0 beyond the image. */
  TOKENLEARNER_KERNEL_BODY float value(int channel, int pixel) const {
    if constexpr (kResident) return to_float<kDType>(in_tile(channel, pixel));
    if (pixel >= count) return 0.0f;
    return to_float<kDType>(
        image_data()[channel * args.x.channel_stride + args.x.pixel_offset(first_pixel + pixel)]);
  }

  /** Starts with a new tile. No thread may still read the last one. */
  TOKENLEARNER_KERNEL_BODY void load(std::int64_t first) {
    first_pixel = first;
    count = static_cast<int>(min_of<std::int64_t>(args.pixels - first, kNormPixels));
    if constexpr (kResident) {
      if (args.channels_last) {
        load_channels();
      } else {
        load_pixels();
      }
      machine.sync();
    }
    find_statistics();
  }

  /** The sum of a number per warp and pixel over the warps, in order. */
  TOKENLEARNER_KERNEL_BODY float& sum_slot(int which, int of_warp) const {
    return machine.template shared<float>(
        static_cast<std::uint32_t>(Traits::kSumOffset + ((which * kNormWarps + of_warp) * 32 + lane) * 4));
  }
  TOKENLEARNER_KERNEL_BODY float sum_over_warps(int which) const {
    float sum = 0.0f;
    TOKENLEARNER_UNROLL
    for (int i = 0; i < kNormWarps; ++i) sum += sum_slot(which, i);
    return sum;
  }

  /** n of this warp lane's pixel. */
  TOKENLEARNER_KERNEL_BODY float normalised(int channel) const {
    const float centred = ((value(channel, lane) - mean) - rest) * inverse_deviation;
    return fmaf(centred, args.norm_weight[channel], args.norm_bias[channel]);
  }

  /**
   * The product with tile `row_tile` of W0's rows. Calls `finish(row, sum)` once for each row of the tile and pixel; its result is
   * in hidden(). All threads may read that when this returns.
   */
  template <class Finish>
  TOKENLEARNER_KERNEL_BODY void product(int row_tile, Finish finish) {
    typename Warp::Accumulators sums;
    Warp::clear(sums);
    Warp warp_tile{machine, lane};
    copy_rows(row_tile, 0);
    for (int chunk = 0; chunk < args.chunks; ++chunk) {
      stage_pixels(chunk);
      machine.template wait_copies<0>();
      machine.sync();
      if (chunk + 1 < args.chunks) copy_rows(row_tile, chunk + 1);
      const std::uint32_t stage = stage_offset(chunk);
      warp_tile.accumulate_half(sums, stage, 0, stage + Traits::kPixelBytes, warp % 4 * 16, warp / 4);
    }
    if (warp >= 4) for_each_sum(warp_tile, sums, [](int, float& stored, float sum) { stored = sum; });
    machine.sync();
    if (warp < 4) {
      for_each_sum(warp_tile, sums,
                   [&](int row, float& stored, float sum) { stored = finish(row, sum + stored); });
    }
    machine.sync();
  }

  /** The result for a pixel and a row of the tile. */
  TOKENLEARNER_KERNEL_BODY float& hidden(int pixel, int row) const {
    return machine.template shared<float>(
        static_cast<std::uint32_t>(Traits::kHiddenOffset + (pixel * Traits::kHiddenStride + row) * 4));
  }

 private:
  /** Loads in flight per thread. */
  static constexpr int kAhead = 8;

  TOKENLEARNER_KERNEL_BODY static std::uint32_t stage_offset(int chunk) {
    return static_cast<std::uint32_t>(chunk % Traits::kStages * Traits::kStageBytes);
  }

  /** Adjacent warp lanes take adjacent pixels. */
  TOKENLEARNER_KERNEL_BODY void load_pixels() {
    const bool inside = lane < count;
    const Element* source =
        computed(image_data() + (inside ? args.x.pixel_offset(first_pixel + lane) : std::int64_t{0}));
    for (int first = warp; first < args.channels; first += kAhead * kNormWarps) {
      Element values[kAhead];
      TOKENLEARNER_UNROLL
      for (int i = 0; i < kAhead; ++i) {
        const int channel = first + i * kNormWarps;
        values[i] = inside && channel < args.channels ? source[channel * args.x.channel_stride] : Element{0};
      }
      TOKENLEARNER_UNROLL
      for (int i = 0; i < kAhead; ++i) {
        const int channel = first + i * kNormWarps;
        if (channel < args.channels) in_tile(channel, lane) = values[i];
      }
    }
  }

  /** Adjacent warp lanes take adjacent channels. */
  TOKENLEARNER_KERNEL_BODY void load_channels() {
    for (int pixel = warp; pixel < kNormPixels; pixel += kNormWarps) {
      const bool inside = pixel < count;
      const Element* source =
          computed(image_data() + (inside ? args.x.pixel_offset(first_pixel + pixel) : std::int64_t{0}));
      for (int first = lane; first < args.channels; first += kAhead * 32) {
        Element values[kAhead];
        TOKENLEARNER_UNROLL
        for (int i = 0; i < kAhead; ++i) {
          const int channel = first + i * 32;
          values[i] = inside && channel < args.channels ? source[channel] : Element{0};
        }
        TOKENLEARNER_UNROLL
        for (int i = 0; i < kAhead; ++i) {
          const int channel = first + i * 32;
          if (channel < args.channels) in_tile(channel, pixel) = values[i];
        }
      }
    }
  }

  TOKENLEARNER_KERNEL_BODY void find_statistics() {
    float sum = 0.0f;
    TOKENLEARNER_UNROLL_BY_4
    for (int channel = warp; channel < args.channels; channel += kNormWarps) sum += value(channel, lane);
    sum_slot(0, warp) = sum;
    machine.sync();
    const auto channels = static_cast<float>(args.channels);
    mean = sum_over_warps(0) / channels;
    float left = 0.0f, squares = 0.0f;
    TOKENLEARNER_UNROLL_BY_4
    for (int channel = warp; channel < args.channels; channel += kNormWarps) {
      const float centred = value(channel, lane) - mean;
      left += centred;
      squares = fmaf(centred, centred, squares);
    }
    sum_slot(1, warp) = left;
    sum_slot(2, warp) = squares;
    machine.sync();
    rest = sum_over_warps(1) / channels;
    const float variance = sum_over_warps(2) / channels - rest * rest;
    inverse_deviation = 1.0f / sqrtf(variance + args.eps);
  }

  /** Each thread makes one unit of 16 bytes of its warp lane's pixel. */
  TOKENLEARNER_KERNEL_BODY void stage_pixels(int chunk) {
    static_assert(kUnitsPerRow == kNormWarps && kNormPixels == 32);
    constexpr int kChannels = Unit<kPrecision>::kChannels;
    const int first = chunk * channels_per_chunk(kPrecision) + warp * kChannels;
    Unit<kPrecision> unit = {};
    TOKENLEARNER_UNROLL
    for (int i = 0; i < kChannels; ++i) {
      if (first + i < args.channels) unit.value[i] = from_float<kDType>(normalised(first + i));
    }
    place<kPrecision>(machine, lane, warp, unit, stage_offset(chunk), Traits::kPixelPlaneBytes);
  }

  TOKENLEARNER_KERNEL_BODY void copy_rows(int row_tile, int chunk) {
    copy_block<kNormThreads, Traits::kRowsBytes>(
        machine, stage_offset(chunk) + Traits::kPixelBytes,
        args.row_blocks + (static_cast<std::int64_t>(row_tile) * args.chunks + chunk) * Traits::kRowsBytes);
    machine.commit_copies();
  }

  /** Calls `use(row, place in hidden(), sum)` for all sums of this thread. */
  template <class Use>
  TOKENLEARNER_KERNEL_BODY void for_each_sum(const Warp& warp_tile, const typename Warp::Accumulators& sums,
                                             Use use) const {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 2; ++i) {
      TOKENLEARNER_UNROLL
      for (int j = 0; j < 2; ++j) {
        TOKENLEARNER_UNROLL
        for (int k = 0; k < 4; ++k) {
          const int row = warp % 4 * 16 + j * 8 + lane % 4 * 2 + k % 2;
          use(row, hidden(warp_tile.pixel_row(i, k / 2), row), sums[i][j][k]);
        }
      }
    }
  }
};

/** The thread block's part of an image. Precondition: kNormThreads threads. */
template <Precision kPrecision, bool kResident, class Machine>
TOKENLEARNER_KERNEL_BODY NormRows<kPrecision, kResident, Machine> norm_rows(Machine& machine,
                                                                            const NormRowsArgs& args,
                                                                            std::int64_t image,
                                                                            std::uint32_t tile) {
  return {machine, args, image, tile, machine.thread() % 32, machine.thread() / 32};
}

}  // namespace tokenlearner::kernels::cuda
