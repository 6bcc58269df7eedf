// The token product y[c,g] = (1/P) sum_p x[c,p] A[g,p]. It reads x once per 8 tokens; these reads limit its
// speed.
//
// A thread block owns 32 channels of one image and one segment of its pixels. Each warp takes channels and
// its lanes take pixels. If channels are contiguous in memory, the lanes take channels and the warps pixels.
// Segments have a fixed length and every sum has a fixed order. If the maps kernel wrote sums of tiles, they
// are added here, and the block of the first channels writes the maps.
//
// Instructions of a warp for 32 outputs of 196 pixels in bfloat16, from the SASS for sm_90a: 810, of which 131
// add up the lanes' sums. When every output had five shuffles and a store of its own, they were about 3,000.
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/warp-reduce.hpp"

namespace tokenlearner::kernels::cuda {

inline constexpr int kTokensWarps = 8;
inline constexpr int kTokensThreads = 32 * kTokensWarps;
inline constexpr int kTokensChannels = 32;
inline constexpr int kChannelsPerWarp = kTokensChannels / kTokensWarps;
/** Tokens per pass over x. */
inline constexpr int kTokensPerPass = 8;
/** The number of pixels whose maps are in shared memory at a time. */
inline constexpr int kPixelsPerStep = 256;
inline constexpr int kSegmentPixels = 1024;
static_assert(kMostImagePixels == std::int64_t{65535} * kSegmentPixels);
/** Holds the maps of a step. At the end, with warp lanes on channels, it holds the warps' sums. */
inline constexpr int kTokensSharedBytes = kTokensPerPass * kPixelsPerStep * 4;

template <DType kDType, bool kChannelsLast, class Machine>
struct TokenProduct {
  /** One sum per channel and token of a warp, or per token. */
  static constexpr int kSums = kChannelsLast ? kTokensPerPass : kChannelsPerWarp * kTokensPerPass;

  Machine& machine;
  const TokensArgs& args;
  std::int64_t image;
  int first_pixel, last_pixel;
  int lane, warp, first_channel;

  TOKENLEARNER_KERNEL_BODY float sum_of_tiles(int token, int pixel) const {
    float total = 0.0f;
    const std::int64_t n = image * args.pixels + pixel;
    for (int i = 0; i < args.partial_lanes; ++i) {
      float sum = 0.0f;
      TOKENLEARNER_UNROLL_BY_4
      for (int tile = 0; tile < args.tiles; ++tile) {
        const std::int64_t row = (static_cast<std::int64_t>(i) * args.tiles + tile) * args.tokens + token;
        sum += args.partials[row * args.partial_stride + n];
      }
      total = i == 0 ? sum : total + sum;
    }
    return total + args.token_bias[token];
  }

  /** Where a step's map is in shared memory. The order is the one in which add_step reads several at once. */
  TOKENLEARNER_KERNEL_BODY static std::uint32_t map_offset(int token, int pixel) {
    return static_cast<std::uint32_t>(kChannelsLast ? pixel * kTokensPerPass + token
                                                    : token * kPixelsPerStep + pixel) *
           4;
  }

  /** Each thread loads the maps of one pixel. */
  TOKENLEARNER_KERNEL_BODY void load_maps(int first_token, int step) {
    static_assert(kPixelsPerStep == kTokensThreads);
    const int tokens = step + machine.thread() < last_pixel ? args.tokens - first_token : 0;
    float* at = args.attention.data + image * args.attention.batch_stride +
                first_token * args.attention.token_stride + step + machine.thread();
    float values[kTokensPerPass];
    TOKENLEARNER_UNROLL
    for (int t = 0; t < kTokensPerPass; ++t) {
      values[t] = args.tiles == 0 && t < tokens ? at[t * args.attention.token_stride] : 0.0f;
    }
    machine.sync();
    TOKENLEARNER_UNROLL
    for (int t = 0; t < kTokensPerPass; ++t) {
      machine.template shared<float>(map_offset(t, machine.thread())) = values[t];
    }
    if (args.tiles > 0) add_tiles(first_token, min_of(tokens, kTokensPerPass), step, at);
    machine.sync();
  }

  TOKENLEARNER_KERNEL_BODY void add_tiles(int first_token, int tokens, int step, float* at) {
    TOKENLEARNER_NO_UNROLL
    for (int t = 0; t < tokens; ++t) {
      const float value = sum_of_tiles(first_token + t, step + machine.thread());
      machine.template shared<float>(map_offset(t, machine.thread())) = value;
      if (first_channel == 0) at[t * args.attention.token_stride] = value;
    }
  }

  /**
   * The first element of a channel. A channel beyond the last one reads the last one: its sums are never
   * written.
   */
  TOKENLEARNER_KERNEL_BODY const Stored<kDType>* x_of(int channel) const {
    return static_cast<const Stored<kDType>*>(args.x.data) + image * args.x.batch_stride +
           min_of(channel, args.channels - 1) * args.x.channel_stride;
  }

  using Rows = const Stored<kDType>* [kChannelsPerWarp];

  /** Pixels `pixel` and `pixel` + 1 of the warp's channels. Zeros beyond the pixels. */
  TOKENLEARNER_KERNEL_BODY void load_pair(float (&x)[kChannelsPerWarp][2], const Rows& rows,
                                          int pixel) const {
    StoredPair<kDType> pairs[kChannelsPerWarp];
    if (args.x.pixel_pairs) {
      TOKENLEARNER_UNROLL
      for (int c = 0; c < kChannelsPerWarp; ++c) {
        pairs[c] = *reinterpret_cast<const StoredPair<kDType>*>(rows[c] + pixel);
      }
    } else {
      TOKENLEARNER_UNROLL
      for (int i = 0; i < 2; ++i) {
        const bool inside = pixel + i < last_pixel;
        const std::int64_t offset = inside ? args.x.pixel_offset(pixel + i) : 0;
        TOKENLEARNER_UNROLL
        for (int c = 0; c < kChannelsPerWarp; ++c) {
          pairs[c].element[i] = inside ? rows[c][offset] : Stored<kDType>{0};
        }
      }
    }
    TOKENLEARNER_UNROLL
    for (int c = 0; c < kChannelsPerWarp; ++c) {
      x[c][0] = to_float<kDType>(pairs[c].element[0]);
      x[c][1] = to_float<kDType>(pairs[c].element[1]);
    }
  }

  /** For warp lanes on pixels: each lane takes pairs, also where they are two loads. So the bits agree. */
  TOKENLEARNER_KERNEL_BODY void add_pixels(float (&sums)[kSums], const Rows& rows, int step) {
    for (int i = 2 * lane; i < kPixelsPerStep && step + i < last_pixel; i += 64) {
      float x[kChannelsPerWarp][2];
      load_pair(x, rows, step + i);
      TOKENLEARNER_UNROLL
      for (int t = 0; t < kTokensPerPass; ++t) {
        const Float2 a = machine.template shared<Float2>(map_offset(t, i));
        TOKENLEARNER_UNROLL
        for (int c = 0; c < kChannelsPerWarp; ++c) {
          float& sum = sums[c * kTokensPerPass + t];
          sum = fmaf(x[c][1], a.y, fmaf(x[c][0], a.x, sum));
        }
      }
    }
  }

  /** For warp lanes on channels: a warp takes every kTokensWarps-th pixel and loads kAhead of them at once. */
  TOKENLEARNER_KERNEL_BODY void add_channels(float (&sums)[kSums], const Stored<kDType>* row, int step) {
    constexpr int kAhead = 4;
    for (int i = warp; i < kPixelsPerStep && step + i < last_pixel; i += kAhead * kTokensWarps) {
      Stored<kDType> x[kAhead];
      TOKENLEARNER_UNROLL
      for (int j = 0; j < kAhead; ++j) {
        const int pixel = step + i + j * kTokensWarps;
        x[j] = pixel < last_pixel ? row[args.x.pixel_offset(pixel)] : Stored<kDType>{0};
      }
      TOKENLEARNER_UNROLL
      for (int j = 0; j < kAhead; ++j) {
        const float value = to_float<kDType>(x[j]);
        TOKENLEARNER_UNROLL
        for (int t = 0; t < kTokensPerPass; t += 4) {
          const Float4 a = machine.template shared<Float4>(map_offset(t, i + j * kTokensWarps));
          sums[t] = fmaf(value, a.x, sums[t]);
          sums[t + 1] = fmaf(value, a.y, sums[t + 1]);
          sums[t + 2] = fmaf(value, a.z, sums[t + 2]);
          sums[t + 3] = fmaf(value, a.w, sums[t + 3]);
        }
      }
    }
  }

  TOKENLEARNER_KERNEL_BODY void finish_channels(const float (&sums)[kSums], int first_token) {
    machine.sync();
    TOKENLEARNER_UNROLL
    for (int t = 0; t < kTokensPerPass; ++t) {
      machine.template shared<float>(static_cast<std::uint32_t>((t * kTokensWarps + warp) * 32 + lane) * 4) =
          sums[t];
    }
    machine.sync();
    // Warp t adds up token t.
    float sum = 0.0f;
    for (int i = 0; i < kTokensWarps; ++i) {
      sum += machine.template shared<float>(
          static_cast<std::uint32_t>((warp * kTokensWarps + i) * 32 + lane) * 4);
    }
    write(first_channel + lane, first_token + warp, sum);
  }

  TOKENLEARNER_KERNEL_BODY void write(int channel, int token, float sum) const {
    if (channel >= args.channels || token >= args.tokens) return;
    if (args.segments > 1) {
      const std::int64_t segment = image * args.segments + first_pixel / kSegmentPixels;
      args.segment_sums[(segment * args.channels + channel) * args.tokens + token] = sum;
      return;
    }
    store_element<kDType>(args.output,
                          image * args.output_batch_stride + channel * args.output_channel_stride +
                              token * args.output_token_stride,
                          sum / args.divisor());
  }

  TOKENLEARNER_KERNEL_BODY void run_pixels() {
    const int first = first_channel + warp * kChannelsPerWarp;
    const Rows rows = {x_of(first), x_of(first + 1), x_of(first + 2), x_of(first + 3)};
    for (int token = 0; token < args.tokens; token += kTokensPerPass) {
      float sums[kSums] = {};
      for (int step = first_pixel; step < last_pixel; step += kPixelsPerStep) {
        load_maps(token, step);
        add_pixels(sums, rows, step);
      }
      // Each lane gets one of the warp's outputs.
      const float sum = reduce_to_lanes(machine, lane, sums);
      write(first + lane / kTokensPerPass, token + lane % kTokensPerPass, sum);
    }
  }

  TOKENLEARNER_KERNEL_BODY void run_channels() {
    const Stored<kDType>* row = x_of(first_channel + lane);
    for (int token = 0; token < args.tokens; token += kTokensPerPass) {
      float sums[kSums] = {};
      for (int step = first_pixel; step < last_pixel; step += kPixelsPerStep) {
        load_maps(token, step);
        add_channels(sums, row, step);
      }
      finish_channels(sums, token);
    }
  }

  TOKENLEARNER_KERNEL_BODY void run() {
    static_assert(kTokensWarps == kTokensPerPass, "finish_channels gives each warp a token");
    static_assert(kChannelsPerWarp * kTokensPerPass == 32, "run_pixels gives each lane an output");
    if constexpr (kChannelsLast) {
      run_channels();
    } else {
      run_pixels();
    }
  }
};

/** Grid: (ceil(C / kTokensChannels), segments, images). `kDType`: of x and of the output. */
template <DType kDType, bool kChannelsLast, class Machine>
TOKENLEARNER_KERNEL_BODY void tokens_body(Machine& machine, const TokensArgs& args) {
  const int first = machine.block_y() * kSegmentPixels;
  TokenProduct<kDType, kChannelsLast, Machine> product{
      machine,
      args,
      machine.block_z(),
      first,
      min_of(static_cast<int>(args.pixels), first + kSegmentPixels),
      machine.thread() % 32,
      machine.thread() / 32,
      machine.block_x() * kTokensChannels};
  product.run();
}

/** Adds the segments in order. Grid: (ceil(C * G / kTokensThreads), images). */
template <class Machine>
TOKENLEARNER_KERNEL_BODY void add_segments_body(Machine& machine, const TokensArgs& args) {
  const std::int64_t index = static_cast<std::int64_t>(machine.block_x()) * kTokensThreads + machine.thread();
  const std::int64_t count = static_cast<std::int64_t>(args.channels) * args.tokens;
  if (index >= count) return;
  const std::int64_t image = machine.block_y();
  float sum = 0.0f;
  for (int segment = 0; segment < args.segments; ++segment) {
    sum += args.segment_sums[(image * args.segments + segment) * count + index];
  }
  store_element(args.output, args.x.dtype,
                image * args.output_batch_stride + index / args.tokens * args.output_channel_stride +
                    index % args.tokens * args.output_token_stride,
                sum / args.divisor());
}

}  // namespace tokenlearner::kernels::cuda
