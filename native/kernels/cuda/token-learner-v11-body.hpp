// TokenLearner v1.1: L, the softmax over the pixels of an image, and the sum of x with its weights, in one pass over x.
//
// A thread block computes a share of an image, tile by tile. For each token it keeps the largest L so far and the sum of
// exp(L - largest); a tile with a larger L scales the old sums down. The sum of x takes x from the tile in shared memory. Another
// kernel adds up the shares of an image, in order. The shares depend only on the number of pixels, so an image has the same bits
// in every batch.
#pragma once

#include "kernels/cuda/logits-body.hpp"
#include "kernels/cuda/warp-reduce.hpp"

namespace tokenlearner::kernels::cuda {

/** Tokens of a thread block. With more, several blocks read the same pixels. */
inline constexpr int kV11Tokens = 64;
inline constexpr int kMostShares = 32;
/** Tokens that are summed at a time. */
inline constexpr int kPoolTokens = 8;

/** Of a token: the largest L so far, its sum, and the factor of the sums of the tiles before this one. */
inline constexpr int kTokenNumbers = 3;

/** `tokens`: of a thread block. */
constexpr std::size_t v11_shared_bytes(Precision precision, bool resident, std::int64_t channels,
                                       int tokens) {
  const int free = planes_of(precision) == 2 ? NormTraits<Precision::float32>::kFreeOffset
                                             : NormTraits<Precision::tf32>::kFreeOffset;
  return static_cast<std::size_t>(free + kTokenNumbers * kV11Tokens * 4) + logits_bytes(tokens) +
         (resident ? tile_bytes(precision, channels) : 0);
}

template <Precision kPrecision, bool kResident, class Machine>
struct V11Share {
  using Traits = NormTraits<kPrecision>;
  using Rows = NormRows<kPrecision, kResident, Machine>;

  Machine& machine;
  const V11Args& args;
  Rows& rows;
  Logits<Rows, Machine>& logits;
  int share;

  TOKENLEARNER_KERNEL_BODY float& number(int which, int token) const {
    return machine.template shared<float>(
        static_cast<std::uint32_t>(Traits::kFreeOffset + (which * kV11Tokens + token) * 4));
  }
  TOKENLEARNER_KERNEL_BODY float& largest(int token) const { return number(0, token); }
  TOKENLEARNER_KERNEL_BODY float& sum(int token) const { return number(1, token); }
  TOKENLEARNER_KERNEL_BODY float& factor(int token) const { return number(2, token); }

  /** L of the warp's tokens becomes exp(L - largest), 0 beyond the image. */
  TOKENLEARNER_KERNEL_BODY void weigh(bool is_first) {
    const bool inside = rows.lane < rows.count;
    for (int token = rows.warp; token < logits.tokens; token += kNormWarps) {
      float& stored = logits.at(rows.lane, token);
      const float l = inside ? stored : -INFINITY;
      if (inside && args.attention.data != nullptr) map(token)[rows.lane] = l;
      float next = l;
      TOKENLEARNER_UNROLL
      for (int width = 16; width > 0; width /= 2) next = fmaxf(next, machine.shuffle_xor(next, width));
      const float before = is_first ? -INFINITY : largest(token);
      next = fmaxf(next, before);
      const float weight = inside ? exponential(l - next) : 0.0f;
      float total = weight;
      TOKENLEARNER_UNROLL
      for (int width = 16; width > 0; width /= 2) total += machine.shuffle_xor(total, width);
      stored = weight;
      // Every lane has read `largest` before lane 0 writes it.
      machine.sync_warp();
      if (rows.lane != 0) continue;
      const float scale = is_first ? 0.0f : exponential(before - next);
      sum(token) = is_first ? total : fmaf(sum(token), scale, total);
      factor(token) = scale;
      largest(token) = next;
    }
    machine.sync();
  }

  /** From the tile's first pixel on. */
  TOKENLEARNER_KERNEL_BODY float* map(int token) const {
    return args.attention.data + rows.image * args.attention.batch_stride +
           (logits.first_token + token) * args.attention.token_stride + rows.first_pixel;
  }

  TOKENLEARNER_KERNEL_BODY std::int64_t share_token(int token) const {
    return (rows.image * args.shares + share) * args.tokens + logits.first_token + token;
  }

  /** Adds the tile to the share's sums of x. A thread takes whole channels. */
  TOKENLEARNER_KERNEL_BODY void pool(bool is_first) {
    for (int channel = machine.thread(); channel < rows.args.channels; channel += kNormThreads) {
      for (int token = 0; token < logits.tokens; token += kPoolTokens) {
        float sums[kPoolTokens] = {};
        add_pixels(sums, channel, token);
        for (int i = 0; i < kPoolTokens && token + i < logits.tokens; ++i) {
          float& y = args.share_y[share_token(token + i) * rows.args.channels + channel];
          y = is_first ? sums[i] : fmaf(y, factor(token + i), sums[i]);
        }
      }
    }
  }

  TOKENLEARNER_KERNEL_BODY void add_pixels(float (&sums)[kPoolTokens], int channel, int token) const {
    TOKENLEARNER_UNROLL_BY_4
    for (int pixel = 0; pixel < kNormPixels; ++pixel) {
      const float x = rows.value(channel, pixel);
      const Float4 a = logits.four(pixel, token), b = logits.four(pixel, token + 4);
      sums[0] = fmaf(x, a.x, sums[0]);
      sums[1] = fmaf(x, a.y, sums[1]);
      sums[2] = fmaf(x, a.z, sums[2]);
      sums[3] = fmaf(x, a.w, sums[3]);
      sums[4] = fmaf(x, b.x, sums[4]);
      sums[5] = fmaf(x, b.y, sums[5]);
      sums[6] = fmaf(x, b.z, sums[6]);
      sums[7] = fmaf(x, b.w, sums[7]);
    }
  }

  TOKENLEARNER_KERNEL_BODY void run() {
    const std::int64_t first = static_cast<std::int64_t>(share) * args.tiles_per_share * kNormPixels;
    for (int i = 0; i < args.tiles_per_share; ++i) {
      const std::int64_t pixel = first + i * kNormPixels;
      if (pixel >= rows.args.pixels) break;
      rows.load(pixel);
      logits.compute();
      weigh(i == 0);
      pool(i == 0);
      // The next tile overwrites this one's pixels.
      machine.sync();
    }
    for (int token = machine.thread(); token < logits.tokens; token += kNormThreads) {
      args.share_largest[share_token(token)] = largest(token);
      args.share_sum[share_token(token)] = sum(token);
    }
  }
};

/** Grid: (images * shares, ceil(G / kV11Tokens)). No share is empty. */
template <Precision kPrecision, bool kResident, class Machine>
TOKENLEARNER_KERNEL_BODY void v11_shares_body(Machine& machine, const V11Args& args) {
  using Rows = NormRows<kPrecision, kResident, Machine>;
  const int first_token = machine.block_y() * kV11Tokens;
  const int tokens = min_of(args.tokens - first_token, kV11Tokens);
  constexpr auto kLogits =
      static_cast<std::uint32_t>(NormTraits<kPrecision>::kFreeOffset + kTokenNumbers * kV11Tokens * 4);
  const std::uint32_t tile =
      kLogits + static_cast<std::uint32_t>(kNormPixels * logits_stride(min_of(args.tokens, kV11Tokens)) * 4);
  Rows rows = norm_rows<kPrecision, kResident>(machine, args.rows, machine.block_x() / args.shares, tile);
  Logits<Rows, Machine> logits{machine, rows, args.mlp, kLogits, first_token, tokens};
  V11Share<kPrecision, kResident, Machine> share{machine, args, rows, logits,
                                                 machine.block_x() % args.shares};
  share.run();
}

/** Adds up the shares in order. Grid: (ceil(C / kNormThreads), G, images). */
template <class Machine>
TOKENLEARNER_KERNEL_BODY void v11_merge_body(Machine& machine, const V11Args& args) {
  const std::int64_t image = machine.block_z();
  const int token = machine.block_y();
  const auto at = [&](int share) { return (image * args.shares + share) * args.tokens + token; };
  float largest = args.share_largest[at(0)];
  for (int i = 1; i < args.shares; ++i) largest = fmaxf(largest, args.share_largest[at(i)]);
  const int channel = machine.block_x() * kNormThreads + machine.thread();
  const bool inside = channel < args.rows.channels;
  float sum = 0.0f, y = 0.0f;
  for (int i = 0; i < args.shares; ++i) {
    const float factor = exponential(args.share_largest[at(i)] - largest);
    sum = fmaf(factor, args.share_sum[at(i)], sum);
    if (inside) y = fmaf(factor, args.share_y[at(i) * args.rows.channels + channel], y);
  }
  if (channel == 0) {
    args.largest[image * args.tokens + token] = largest;
    args.sum[image * args.tokens + token] = sum;
  }
  if (!inside) return;
  store_element(args.output, args.rows.x.dtype,
                image * args.output_batch_stride + channel * args.output_channel_stride +
                    token * args.output_token_stride,
                y / sum);
}

/** L becomes A, after v11_merge_body. Grid: (ceil(P / kNormThreads), G, images). */
template <class Machine>
TOKENLEARNER_KERNEL_BODY void v11_maps_body(Machine& machine, const V11Args& args) {
  const std::int64_t pixel = static_cast<std::int64_t>(machine.block_x()) * kNormThreads + machine.thread();
  if (pixel >= args.rows.pixels) return;
  const std::int64_t image = machine.block_z();
  const int token = machine.block_y();
  float& value =
      args.attention.data[image * args.attention.batch_stride + token * args.attention.token_stride + pixel];
  const std::int64_t at = image * args.tokens + token;
  value = exponential(value - args.largest[at]) / args.sum[at];
}

}  // namespace tokenlearner::kernels::cuda
