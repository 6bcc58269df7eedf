// TokenFuser: one kernel mixes the tokens of an image, and one makes the weights of a tile of pixels and the sum of the tokens with
// them, while the weights are in shared memory. The original is read once, the output written once.
#pragma once

#include "kernels/cuda/logits-body.hpp"
#include "kernels/cuda/token-fuser-args.hpp"

namespace tokenlearner::kernels::cuda {

/** Per token: its mean, what is left of that, and 1 / its deviation. */
inline constexpr int kMixNumbers = 3;
/** Tokens that a thread mixes at a time. */
inline constexpr int kMixTokens = 8;

/** The weights of a tile with more tokens never fit in shared memory. */
inline constexpr std::int64_t kMostFuserTokens = 4096;

constexpr std::size_t mix_shared_bytes(int tokens) {
  return static_cast<std::size_t>(tokens) * kMixNumbers * 4;
}

/** Grid: (images). T takes little work, in float32; each LayerNorm takes two passes, as that of the pixels. */
template <class Machine>
struct TokenMix {
  Machine& machine;
  const MixArgs& args;
  std::int64_t image;
  int lane, warp;

  TOKENLEARNER_KERNEL_BODY float& number(int which, int token) const {
    return machine.template shared<float>(static_cast<std::uint32_t>((which * args.tokens + token) * 4));
  }

  TOKENLEARNER_KERNEL_BODY float source(int token, int channel) const {
    return load_element(
        args.source, args.dtype,
        image * args.batch_stride + channel * args.channel_stride + token * args.token_stride);
  }

  TOKENLEARNER_KERNEL_BODY float& mixed(int token, int channel) const {
    return args.mixed[(image * args.tokens + token) * args.channels + channel];
  }

  TOKENLEARNER_KERNEL_BODY float sum_of_lanes(float sum) const {
    TOKENLEARNER_UNROLL
    for (int width = 16; width > 0; width /= 2) sum += machine.shuffle_xor(sum, width);
    return sum;
  }

  /** Keeps the statistics of value(token, channel) over the channels. A warp takes a token. */
  template <class Value>
  TOKENLEARNER_KERNEL_BODY void find_statistics(Value value) {
    const auto channels = static_cast<float>(args.channels);
    for (int token = warp; token < args.tokens; token += kNormWarps) {
      float sum = 0.0f;
      for (int channel = lane; channel < args.channels; channel += 32) sum += value(token, channel);
      const float mean = sum_of_lanes(sum) / channels;
      float left = 0.0f, squares = 0.0f;
      for (int channel = lane; channel < args.channels; channel += 32) {
        const float centred = value(token, channel) - mean;
        left += centred;
        squares = fmaf(centred, centred, squares);
      }
      const float rest = sum_of_lanes(left) / channels;
      const float variance = sum_of_lanes(squares) / channels - rest * rest;
      if (lane != 0) continue;
      number(0, token) = mean;
      number(1, token) = rest;
      number(2, token) = 1.0f / sqrtf(variance + args.eps);
    }
    machine.sync();
  }

  TOKENLEARNER_KERNEL_BODY float normalised(float value, int token, int channel, const float* weight,
                                            const float* bias) const {
    if (weight == nullptr) return value;
    const float centred = ((value - number(0, token)) - number(1, token)) * number(2, token);
    return fmaf(centred, weight[channel], bias[channel]);
  }

  /** A thread takes whole channels. */
  TOKENLEARNER_KERNEL_BODY void mix() {
    for (int channel = machine.thread(); channel < args.channels; channel += kNormThreads) {
      for (int first = 0; first < args.tokens; first += kMixTokens) {
        float sums[kMixTokens];
        TOKENLEARNER_UNROLL
        for (int i = 0; i < kMixTokens; ++i) sums[i] = args.bias[min_of(first + i, args.tokens - 1)];
        for (int token = 0; token < args.tokens; ++token) {
          const float n =
              normalised(source(token, channel), token, channel, args.norm1_weight, args.norm1_bias);
          TOKENLEARNER_UNROLL
          for (int i = 0; i < kMixTokens; ++i) {
            const int row = min_of(first + i, args.tokens - 1);
            sums[i] = fmaf(args.weight[static_cast<std::int64_t>(row) * args.tokens + token], n, sums[i]);
          }
        }
        TOKENLEARNER_UNROLL
        for (int i = 0; i < kMixTokens; ++i) {
          if (first + i < args.tokens) mixed(first + i, channel) = sums[i];
        }
      }
    }
    machine.sync();
  }

  TOKENLEARNER_KERNEL_BODY void run() {
    if (args.norm1_weight != nullptr)
      find_statistics([&](int token, int channel) { return source(token, channel); });
    mix();
    if (args.norm2_weight == nullptr) return;
    find_statistics([&](int token, int channel) { return mixed(token, channel); });
    for (int token = warp; token < args.tokens; token += kNormWarps) {
      for (int channel = lane; channel < args.channels; channel += 32) {
        float& value = mixed(token, channel);
        value = normalised(value, token, channel, args.norm2_weight, args.norm2_bias);
      }
    }
  }
};

template <class Machine>
TOKENLEARNER_KERNEL_BODY void token_mix_body(Machine& machine, const MixArgs& args) {
  TokenMix<Machine> mix{machine, args, machine.block_x(), machine.thread() % 32, machine.thread() / 32};
  mix.run();
}

constexpr std::size_t spread_shared_bytes(Precision precision, bool resident, std::int64_t channels,
                                          int tokens) {
  const int free = planes_of(precision) == 2 ? NormTraits<Precision::float32>::kFreeOffset
                                             : NormTraits<Precision::tf32>::kFreeOffset;
  return static_cast<std::size_t>(free) + logits_bytes(tokens) +
         (resident ? tile_bytes(precision, channels) : 0);
}

template <class Rows, class Machine>
struct TokenSpread {
  static constexpr int kPixels = 8;
  static constexpr int kChannels = 4;

  Machine& machine;
  const SpreadArgs& args;
  Rows& rows;
  Logits<Rows, Machine>& weights;

  /** L becomes Q, and zeros for the tokens that complete four. */
  TOKENLEARNER_KERNEL_BODY void find_weights() {
    for (int token = rows.warp; token < round_up(args.tokens, 4); token += kNormWarps) {
      float& stored = weights.at(rows.lane, token);
      stored = token < args.tokens ? sigmoid(stored) : 0.0f;
      if (token >= args.tokens || args.attention.data == nullptr || rows.lane >= rows.count) continue;
      args.attention.data[rows.image * args.attention.batch_stride + token * args.attention.token_stride +
                          rows.first_pixel + rows.lane] = stored;
    }
    machine.sync();
  }

  /** T of a token and channel; 0 beyond the tokens. */
  TOKENLEARNER_KERNEL_BODY float mixed(int token, int channel) const {
    const std::int64_t row = rows.image * args.tokens + token;
    return token < args.tokens ? args.mixed[row * rows.args.channels + channel] : 0.0f;
  }

  /** Adjacent threads take adjacent channels, and kPixels pixels at a time. */
  TOKENLEARNER_KERNEL_BODY void write_channels() {
    const int channels = rows.args.channels;
    for (int channel = machine.thread(); channel < channels; channel += kNormThreads) {
      for (int first = 0; first < rows.count; first += kPixels) {
        float sums[kPixels] = {};
        for (int token = 0; token < args.tokens; token += 4) {
          const Float4 t{mixed(token, channel), mixed(token + 1, channel), mixed(token + 2, channel),
                         mixed(token + 3, channel)};
          TOKENLEARNER_UNROLL
          for (int i = 0; i < kPixels; ++i) add(sums[i], weights.four(first + i, token), t);
        }
        TOKENLEARNER_UNROLL
        for (int i = 0; i < kPixels; ++i) {
          if (first + i >= rows.count) continue;
          const std::int64_t pixel = rows.image * rows.args.pixels + rows.first_pixel + first + i;
          store_element<Rows::kDType>(args.output, pixel * channels + channel, sums[i]);
        }
      }
    }
  }

  /** Adjacent warp lanes take adjacent pixels, and kChannels channels at a time. */
  TOKENLEARNER_KERNEL_BODY void write_pixels() {
    const int channels = rows.args.channels;
    for (int first = rows.warp * kChannels; first < channels; first += kNormWarps * kChannels) {
      float sums[kChannels] = {};
      for (int token = 0; token < args.tokens; token += 4) {
        const Float4 weight = weights.four(rows.lane, token);
        TOKENLEARNER_UNROLL
        for (int i = 0; i < kChannels; ++i) {
          const int channel = min_of(first + i, channels - 1);
          const Float4 t{mixed(token, channel), mixed(token + 1, channel), mixed(token + 2, channel),
                         mixed(token + 3, channel)};
          add(sums[i], weight, t);
        }
      }
      TOKENLEARNER_UNROLL
      for (int i = 0; i < kChannels; ++i) {
        if (first + i >= channels || rows.lane >= rows.count) continue;
        const std::int64_t row = rows.image * channels + first + i;
        store_element<Rows::kDType>(args.output, row * rows.args.pixels + rows.first_pixel + rows.lane,
                                    sums[i]);
      }
    }
  }

  /** In the order of the tokens, for both orders of the output. */
  TOKENLEARNER_KERNEL_BODY static void add(float& sum, const Float4& weight, const Float4& t) {
    sum = fmaf(weight.x, t.x, sum);
    sum = fmaf(weight.y, t.y, sum);
    sum = fmaf(weight.z, t.z, sum);
    sum = fmaf(weight.w, t.w, sum);
  }
};

/** Grid: (images * tiles). After token_mix_body. */
template <Precision kPrecision, bool kResident, class Machine>
TOKENLEARNER_KERNEL_BODY void token_spread_body(Machine& machine, const SpreadArgs& args) {
  using Rows = NormRows<kPrecision, kResident, Machine>;
  constexpr auto kLogits = static_cast<std::uint32_t>(NormTraits<kPrecision>::kFreeOffset);
  const std::uint32_t tile =
      kLogits + static_cast<std::uint32_t>(kNormPixels * logits_stride(args.tokens) * 4);
  Rows rows = norm_rows<kPrecision, kResident>(machine, args.rows, machine.block_x() / args.tiles, tile);
  Logits<Rows, Machine> weights{machine, rows, args.mlp, kLogits, 0, args.tokens};
  rows.load(static_cast<std::int64_t>(machine.block_x() % args.tiles) * kNormPixels);
  weights.compute();
  TokenSpread<Rows, Machine> spread{machine, args, rows, weights};
  spread.find_weights();
  if (args.out_channels_last) {
    spread.write_channels();
  } else {
    spread.write_pixels();
  }
}

}  // namespace tokenlearner::kernels::cuda
