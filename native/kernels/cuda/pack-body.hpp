// Packs x and W1 into the blocks of Note [Tile images] (tiling.hpp). Gathering by strides, conversion,
// rounding to tf32 and splitting into high and low parts happen only here, once. So the products only load
// aligned bytes. One thread block makes one block of 64 rows by 128 bytes (a plane) in shared memory and
// writes it in one piece.
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/tiling.hpp"

namespace tokenlearner::kernels::cuda {

inline constexpr int kPackThreads = 256;

/**
 * Converts and stores one element of the block at `block`. A second plane starts `plane_bytes` after the
 * first.
 */
template <Precision kPrecision, class Machine>
TOKENLEARNER_KERNEL_BODY void place(Machine& machine, int row, int channel, float value,
                                    std::uint32_t block = 0, std::uint32_t plane_bytes = kBlockBytes) {
  const std::uint32_t offset = block + swizzled_offset(row, channel * element_bytes(kPrecision));
  if constexpr (kPrecision == Precision::bfloat16) {
    machine.template shared<std::uint16_t>(offset) = float_to_bfloat16(value);
  } else if constexpr (kPrecision == Precision::float16) {
    machine.template shared<std::uint16_t>(offset) = float_to_half(value);
  } else if constexpr (kPrecision == Precision::tf32) {
    machine.template shared<float>(offset) = round_to_tf32(value);
  } else {
    float high, low;
    split_tf32(value, high, low);
    machine.template shared<float>(offset) = high;
    machine.template shared<float>(offset + plane_bytes) = low;
  }
}

/** Copies the finished block or blocks from shared memory to `target`. */
template <Precision kPrecision, class Machine>
TOKENLEARNER_KERNEL_BODY void write_out(Machine& machine, std::uint8_t* target) {
  machine.sync();
  constexpr int kBytes = kBlockBytes * planes_of(kPrecision);
  for (int i = machine.thread() * kUnitBytes; i < kBytes; i += kPackThreads * kUnitBytes) {
    *reinterpret_cast<Word4*>(target + i) = machine.template shared<Word4>(static_cast<std::uint32_t>(i));
  }
}

/**
 * Grid: (pixel blocks, chunks). With `kChannelsLast`, adjacent threads take adjacent channels, not pixels.
 */
template <Precision kPrecision, bool kChannelsLast, class Machine>
TOKENLEARNER_KERNEL_BODY void pack_pixels_body(Machine& machine, const PackPixelsArgs& args) {
  constexpr int kChannels = channels_per_chunk(kPrecision);
  const std::int64_t first_pixel = static_cast<std::int64_t>(machine.block_x()) * kBlockRows;
  const int chunk = machine.block_y();
  for (int i = machine.thread(); i < kBlockRows * kChannels; i += kPackThreads) {
    const int row = kChannelsLast ? i / kChannels : i % kBlockRows;
    const int channel = kChannelsLast ? i % kChannels : i / kBlockRows;
    const std::int64_t n = first_pixel + row;
    const int c = chunk * kChannels + channel;
    float value = 0.0f;
    if (n < args.pixel_count && c < args.channels) {
      const std::int64_t image = n / args.pixels;
      value = load_element(args.x.data, args.x.dtype,
                           image * args.x.batch_stride + c * args.x.channel_stride +
                               args.x.pixel_offset(n - image * args.pixels));
    }
    place<kPrecision>(machine, row, channel, value);
  }
  const std::int64_t block = static_cast<std::int64_t>(machine.block_x()) * args.chunks + chunk;
  write_out<kPrecision>(machine, args.blocks + block * (kBlockBytes * planes_of(kPrecision)));
}

/** Grid: (hidden blocks, chunks, groups). */
template <Precision kPrecision, class Machine>
TOKENLEARNER_KERNEL_BODY void pack_weights_body(Machine& machine, const PackWeightsArgs& args) {
  constexpr int kChannels = channels_per_chunk(kPrecision);
  const int chunk = machine.block_y();
  const int group = machine.block_z();
  for (int i = machine.thread(); i < kBlockRows * kChannels; i += kPackThreads) {
    const int row = i / kChannels;
    const int channel = i % kChannels;
    const int k = machine.block_x() * kBlockRows + row;
    const int c = chunk * kChannels + channel;
    float value = 0.0f;
    if (k < args.hidden && c < args.channels) {
      const std::int64_t weight_row = static_cast<std::int64_t>(group) * args.hidden + k;
      value = load_element(args.weight, args.dtype, weight_row * args.channels + c);
    }
    place<kPrecision>(machine, row, channel, value);
  }
  const std::int64_t hidden_blocks = args.hidden_padded / kBlockRows;
  const std::int64_t block = (group * hidden_blocks + machine.block_x()) * args.chunks + chunk;
  write_out<kPrecision>(machine, args.blocks + block * (kBlockBytes * planes_of(kPrecision)));
}

/** Packs b1 and w2 in pairs of hidden rows, and b2. Grid: (ceil(G * padded K / 2 / threads)). */
template <class Machine>
TOKENLEARNER_KERNEL_BODY void pack_vectors_body(Machine& machine, const PackWeightsArgs& args) {
  const int pairs = args.hidden_padded / 2;
  const std::int64_t index = static_cast<std::int64_t>(machine.block_x()) * kPackThreads + machine.thread();
  if (index < args.tokens) {
    args.packed_token_bias[index] = load_element(args.token_bias, args.dtype, index);
  }
  if (index >= static_cast<std::int64_t>(args.tokens) * pairs) return;
  const std::int64_t group = index / pairs;
  const int k = static_cast<int>(index % pairs) * 2;
  const std::int64_t row = group * args.hidden + k;
  Float4 values{0.0f, 0.0f, 0.0f, 0.0f};
  if (k < args.hidden) {
    values.x = load_element(args.bias, args.dtype, row);
    values.z = load_element(args.scale, args.dtype, row);
  }
  if (k + 1 < args.hidden) {
    values.y = load_element(args.bias, args.dtype, row + 1);
    values.w = load_element(args.scale, args.dtype, row + 1);
  }
  args.bias_and_scale[index] = values;
}

}  // namespace tokenlearner::kernels::cuda
