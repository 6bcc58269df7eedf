// The token product y[c,g] = (1/P) sum_p x[c,p] A[g,p]. It reads x once per 8 tokens; these reads limit its
// speed.
//
// A thread block owns 32 channels of one image and one segment of its pixels. Each warp takes channels and
// its lanes take pixels. If channels are contiguous in memory, the lanes take channels and the warps pixels.
// Segments have a fixed length and every sum has a fixed order. If the maps kernel wrote sums of tiles, they
// are added here, and the block of the first channels writes the maps.
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/numerics.hpp"

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
/** Holds the maps of a step. At the end, with warp lanes on channels, it holds the warps' sums. */
inline constexpr int kTokensSharedBytes = kTokensPerPass * kPixelsPerStep * 4;

template <bool kChannelsLast, class Machine>
struct TokenProduct {
  Machine& machine;
  const TokensArgs& args;
  std::int64_t image;
  std::int64_t first_pixel, last_pixel;
  int lane, warp, first_channel;

  TOKENLEARNER_KERNEL_BODY float sum_of_tiles(int token, std::int64_t pixel) const {
    float total = 0.0f;
    const std::int64_t n = image * args.pixels + pixel;
    for (int i = 0; i < args.partial_lanes; ++i) {
      float sum = 0.0f;
      for (int tile = 0; tile < args.tiles; ++tile) {
        const std::int64_t row = (static_cast<std::int64_t>(i) * args.tiles + tile) * args.tokens + token;
        sum += args.partials[row * args.partial_stride + n];
      }
      total = i == 0 ? sum : total + sum;
    }
    return total + args.token_bias[token];
  }

  TOKENLEARNER_KERNEL_BODY float attention(int token, std::int64_t pixel) const {
    float* at = args.attention.data + image * args.attention.batch_stride +
                token * args.attention.token_stride + pixel;
    if (args.tiles == 0) return *at;
    const float value = sum_of_tiles(token, pixel);
    if (first_channel == 0) *at = value;
    return value;
  }

  TOKENLEARNER_KERNEL_BODY float& shared_map(int token, int pixel) const {
    return machine.template shared<float>(static_cast<std::uint32_t>(token * kPixelsPerStep + pixel) * 4);
  }

  TOKENLEARNER_KERNEL_BODY void load_maps(int first_token, std::int64_t step) {
    machine.sync();
    for (int i = machine.thread(); i < kTokensPerPass * kPixelsPerStep; i += kTokensThreads) {
      const int token = first_token + i / kPixelsPerStep;
      const std::int64_t pixel = step + i % kPixelsPerStep;
      const bool inside = token < args.tokens && pixel < last_pixel;
      shared_map(i / kPixelsPerStep, i % kPixelsPerStep) = inside ? attention(token, pixel) : 0.0f;
    }
    machine.sync();
  }

  TOKENLEARNER_KERNEL_BODY float pixel_value(int channel, std::int64_t offset) const {
    if (channel >= args.channels) return 0.0f;
    return load_element(args.x.data, args.x.dtype,
                        image * args.x.batch_stride + channel * args.x.channel_stride + offset);
  }

  /** For warp lanes on pixels. */
  TOKENLEARNER_KERNEL_BODY void add_step(float (&sums)[kChannelsPerWarp][kTokensPerPass], std::int64_t step) {
    for (int i = lane; i < kPixelsPerStep && step + i < last_pixel; i += 32) {
      const std::int64_t offset = args.x.pixel_offset(step + i);
      float x[kChannelsPerWarp];
      TOKENLEARNER_UNROLL
      for (int c = 0; c < kChannelsPerWarp; ++c) {
        x[c] = pixel_value(first_channel + warp * kChannelsPerWarp + c, offset);
      }
      TOKENLEARNER_UNROLL
      for (int t = 0; t < kTokensPerPass; ++t) {
        const float a = shared_map(t, i);
        TOKENLEARNER_UNROLL
        for (int c = 0; c < kChannelsPerWarp; ++c) sums[c][t] = fmaf(x[c], a, sums[c][t]);
      }
    }
  }

  TOKENLEARNER_KERNEL_BODY void finish_pixels(float (&sums)[kChannelsPerWarp][kTokensPerPass],
                                              int first_token) {
    TOKENLEARNER_UNROLL
    for (int c = 0; c < kChannelsPerWarp; ++c) {
      TOKENLEARNER_UNROLL
      for (int t = 0; t < kTokensPerPass; ++t) {
        float sum = sums[c][t];
        TOKENLEARNER_UNROLL
        for (int mask = 16; mask > 0; mask /= 2) sum += machine.shuffle_xor(sum, mask);
        if (lane == 0) write(first_channel + warp * kChannelsPerWarp + c, first_token + t, sum);
      }
    }
  }

  /** For warp lanes on channels: a warp takes every kTokensWarps-th pixel. */
  TOKENLEARNER_KERNEL_BODY void add_step(float (&sums)[kTokensPerPass], std::int64_t step) {
    for (int i = warp; i < kPixelsPerStep && step + i < last_pixel; i += kTokensWarps) {
      const float x = pixel_value(first_channel + lane, args.x.pixel_offset(step + i));
      TOKENLEARNER_UNROLL
      for (int t = 0; t < kTokensPerPass; ++t) sums[t] = fmaf(x, shared_map(t, i), sums[t]);
    }
  }

  TOKENLEARNER_KERNEL_BODY void finish_channels(const float (&sums)[kTokensPerPass], int first_token) {
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
    store_element(args.output, args.output_dtype,
                  image * args.output_batch_stride + channel * args.output_channel_stride +
                      token * args.output_token_stride,
                  sum / static_cast<float>(args.pixels));
  }

  TOKENLEARNER_KERNEL_BODY void run() {
    static_assert(kTokensWarps == kTokensPerPass, "finish_channels gives each warp a token");
    for (int token = 0; token < args.tokens; token += kTokensPerPass) {
      if constexpr (kChannelsLast) {
        float sums[kTokensPerPass] = {};
        for (std::int64_t step = first_pixel; step < last_pixel; step += kPixelsPerStep) {
          load_maps(token, step);
          add_step(sums, step);
        }
        finish_channels(sums, token);
      } else {
        float sums[kChannelsPerWarp][kTokensPerPass] = {};
        for (std::int64_t step = first_pixel; step < last_pixel; step += kPixelsPerStep) {
          load_maps(token, step);
          add_step(sums, step);
        }
        finish_pixels(sums, token);
      }
    }
  }
};

/** Grid: (ceil(C / kTokensChannels), segments, images). */
template <bool kChannelsLast, class Machine>
TOKENLEARNER_KERNEL_BODY void tokens_body(Machine& machine, const TokensArgs& args) {
  const std::int64_t first = static_cast<std::int64_t>(machine.block_y()) * kSegmentPixels;
  TokenProduct<kChannelsLast, Machine> product{machine,
                                               args,
                                               machine.block_z(),
                                               first,
                                               min_of(args.pixels, first + kSegmentPixels),
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
  store_element(args.output, args.output_dtype,
                image * args.output_batch_stride + index / args.tokens * args.output_channel_stride +
                    index % args.tokens * args.output_token_stride,
                sum / static_cast<float>(args.pixels));
}

}  // namespace tokenlearner::kernels::cuda
