// The maps A on CUDA cores, in plain float32, for a few channels. A pixel's channels stay in registers. For
// each pixel, four threads divide a group's hidden rows among themselves. Their sums are added in order.
#pragma once

#include "kernels/cuda/gelu.hpp"
#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/numerics.hpp"

namespace tokenlearner::kernels::cuda {

/** The maximum number of channels. W1's rows are padded to this. */
inline constexpr int kSimtChannels = 16;
inline constexpr int kSimtPixels = 64;
inline constexpr int kSimtLanes = 4;
inline constexpr int kSimtThreads = kSimtPixels * kSimtLanes;
inline constexpr int kSimtSharedBytes = kSimtThreads * 4;

/** Writes W1 in float32, rows padded to kSimtChannels. Grid: (ceil(G * K * kSimtChannels / kSimtThreads)). */
template <class Machine>
TOKENLEARNER_KERNEL_BODY void pack_simt_weights_body(Machine& machine, const PackWeightsArgs& args) {
  const std::int64_t index = static_cast<std::int64_t>(machine.block_x()) * kSimtThreads + machine.thread();
  const std::int64_t row = index / kSimtChannels;
  const int channel = static_cast<int>(index % kSimtChannels);
  if (row >= static_cast<std::int64_t>(args.tokens) * args.hidden) return;
  reinterpret_cast<float*>(args.blocks)[index] =
      channel < args.channels ? load_element(args.weight, args.dtype, row * args.channels + channel) : 0.0f;
}

/** The offset, in elements, of hidden row 2 * pair of a group. */
TOKENLEARNER_PORTABLE constexpr std::int64_t simt_pair_offset(int pair) {
  return std::int64_t{2} * kSimtChannels * pair;
}

TOKENLEARNER_PORTABLE float simt_hidden(const float* weight, const float (&x)[kSimtChannels], float bias) {
  float sum = bias;
  TOKENLEARNER_UNROLL
  for (int i = 0; i < kSimtChannels / 4; ++i) {
    const Float4 w = reinterpret_cast<const Float4*>(weight)[i];
    sum = fmaf(w.x, x[4 * i], sum);
    sum = fmaf(w.y, x[4 * i + 1], sum);
    sum = fmaf(w.z, x[4 * i + 2], sum);
    sum = fmaf(w.w, x[4 * i + 3], sum);
  }
  return sum;
}

/** Grid: (ceil(pixel_count / kSimtPixels), groups). */
template <class Machine>
TOKENLEARNER_KERNEL_BODY void maps_simt_body(Machine& machine, const SimtArgs& args) {
  const int group = machine.block_y();
  const int pixel_lane = machine.thread() % kSimtPixels;
  const int hidden_lane = machine.thread() / kSimtPixels;
  const std::int64_t n = static_cast<std::int64_t>(machine.block_x()) * kSimtPixels + pixel_lane;
  const std::int64_t image = n / args.pixels;
  const std::int64_t pixel = n - image * args.pixels;
  float x[kSimtChannels];
  TOKENLEARNER_UNROLL
  for (int c = 0; c < kSimtChannels; ++c) {
    const bool inside = c < args.channels && n < args.pixel_count;
    x[c] = !inside ? 0.0f
                   : load_element(args.x.data, args.x.dtype,
                                  image * args.x.batch_stride + c * args.x.channel_stride +
                                      args.x.pixel_offset(pixel));
  }
  // Pairs of hidden rows. If K is odd, the last pair has no second row.
  const int pairs = (args.hidden + 1) / 2;
  const int each = ceil_div(pairs, kSimtLanes);
  const int last = min_of(pairs, (hidden_lane + 1) * each);
  const float* weight = args.weight + static_cast<std::int64_t>(group) * args.hidden * kSimtChannels;
  const Float4* vectors = args.bias_and_scale + static_cast<std::int64_t>(group) * args.hidden_padded / 2;
  float sum = 0.0f;
  for (int pair = hidden_lane * each; pair < last; ++pair) {
    const Float4 v = vectors[pair];
    const float* row = weight + simt_pair_offset(pair);
    sum = fmaf(v.z, gelu<GeluForm::accurate>(simt_hidden(row, x, v.x)), sum);
    if (pair * 2 + 1 < args.hidden) {
      sum = fmaf(v.w, gelu<GeluForm::accurate>(simt_hidden(row + kSimtChannels, x, v.y)), sum);
    }
  }
  machine.template shared<float>(static_cast<std::uint32_t>(machine.thread()) * 4) = sum;
  machine.sync();
  if (hidden_lane != 0 || n >= args.pixel_count) return;
  for (int i = 1; i < kSimtLanes; ++i) {
    sum += machine.template shared<float>(static_cast<std::uint32_t>(i * kSimtPixels + pixel_lane) * 4);
  }
  args.attention.data[image * args.attention.batch_stride + group * args.attention.token_stride + pixel] =
      sum + args.token_bias[group];
}

}  // namespace tokenlearner::kernels::cuda
