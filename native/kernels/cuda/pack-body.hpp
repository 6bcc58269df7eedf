// Packs x and W1 into the blocks of Note [Tile images] (tiling.hpp). Gathering by strides, rounding to tf32 and
// splitting into high and low parts happen only here, once. So the products only load aligned bytes. One thread
// block makes one block of 64 rows by 128 bytes, with its planes. Each thread makes two units of 16 bytes. It
// starts all loads of both before it uses one.
//
// If the channels of a pixel are contiguous, adjacent threads take adjacent units, and store them directly.
// Otherwise adjacent lanes take adjacent pixels. They store their units in shared memory, from which the block
// is written in one piece. 16-bit pixels are read in pairs where the layout allows it.
//
// Instructions per element in bfloat16, from the SASS for sm_90a: 13 in pairs, 20 elsewhere. With a 64-bit division, a branch
// on the dtype and a store of two bytes for each element they were 115.
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/tiling.hpp"

namespace tokenlearner::kernels::cuda {

inline constexpr int kPackThreads = 256;
inline constexpr int kUnitsPerRow = kRowBytes / kUnitBytes;
/** The units of a block that one thread makes. */
inline constexpr int kUnitsPerThread = kBlockRows * kUnitsPerRow / kPackThreads;

/** The elements of a unit as x or W1 has them. */
template <Precision kPrecision>
struct alignas(kUnitBytes) Unit {
  static constexpr int kChannels = kUnitBytes / element_bytes(kPrecision);
  using Element = Stored<element_dtype(kPrecision)>;
  Element value[kChannels];
};

/**
 * The first `count` elements from `source` on, `stride` apart, and zeros. If `aligned`, the elements are
 * contiguous and aligned to 16 bytes, and `count` is at least a whole unit or at most 0.
 */
template <Precision kPrecision>
TOKENLEARNER_PORTABLE Unit<kPrecision> load_unit(const typename Unit<kPrecision>::Element* source,
                                                 std::int64_t stride, int count, bool aligned) {
  Unit<kPrecision> unit = {};
  if (aligned) {
    if (count <= 0) return unit;
    const Word4 words = *reinterpret_cast<const Word4*>(source);
    memcpy(&unit, &words, kUnitBytes);
    return unit;
  }
  source = computed(source);
  TOKENLEARNER_UNROLL
  for (int i = 0; i < Unit<kPrecision>::kChannels; ++i) {
    if (i < count) unit.value[i] = source[i * stride];
  }
  return unit;
}

/** The unit in the precision's planes. The 16-bit modes copy the bits. */
template <Precision kPrecision>
TOKENLEARNER_PORTABLE void to_planes(Word4 (&planes)[planes_of(kPrecision)], const Unit<kPrecision>& unit) {
  if constexpr (element_bytes(kPrecision) == 2) {
    memcpy(&planes[0], &unit, kUnitBytes);
  } else {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 4; ++i) {
      if constexpr (kPrecision == Precision::tf32) {
        planes[0].word[i] = bits_of(round_to_tf32(unit.value[i]));
      } else {
        float high, low;
        split_tf32(unit.value[i], high, low);
        planes[0].word[i] = bits_of(high);
        planes[1].word[i] = bits_of(low);
      }
    }
  }
}

/**
 * Stores unit number `column` of a row of the block at `block` in shared memory. A second plane starts
 * `plane_bytes` after the first.
 */
template <Precision kPrecision, class Machine>
TOKENLEARNER_KERNEL_BODY void place(Machine& machine, int row, int column, const Unit<kPrecision>& unit,
                                    std::uint32_t block = 0, std::uint32_t plane_bytes = kBlockBytes) {
  Word4 planes[planes_of(kPrecision)];
  to_planes<kPrecision>(planes, unit);
  TOKENLEARNER_UNROLL
  for (int plane = 0; plane < planes_of(kPrecision); ++plane) {
    machine.template shared<Word4>(block + plane * plane_bytes + swizzled_offset(row, column * kUnitBytes)) =
        planes[plane];
  }
}

/** Stores a unit in the block at `block` in device memory. */
template <Precision kPrecision>
TOKENLEARNER_PORTABLE void place(std::uint8_t* block, int row, int column, const Unit<kPrecision>& unit) {
  Word4 planes[planes_of(kPrecision)];
  to_planes<kPrecision>(planes, unit);
  TOKENLEARNER_UNROLL
  for (int plane = 0; plane < planes_of(kPrecision); ++plane) {
    *reinterpret_cast<Word4*>(block + plane * kBlockBytes + swizzled_offset(row, column * kUnitBytes)) =
        planes[plane];
  }
}

/** Copies the finished block or blocks from shared memory to `target`. */
template <Precision kPrecision, class Machine>
TOKENLEARNER_KERNEL_BODY void write_out(Machine& machine, std::uint8_t* target) {
  machine.sync();
  TOKENLEARNER_UNROLL
  for (int i = 0; i < kUnitsPerThread * planes_of(kPrecision); ++i) {
    const int offset = (i * kPackThreads + machine.thread()) * kUnitBytes;
    *reinterpret_cast<Word4*>(target + offset) =
        machine.template shared<Word4>(static_cast<std::uint32_t>(offset));
  }
}

template <Precision kPrecision, class Machine>
struct PackPixels {
  using Element = typename Unit<kPrecision>::Element;

  Machine& machine;
  const PackPixelsArgs& args;
  std::uint32_t first_pixel;
  int first_channel;

  /** The start of pixel `row` of the block. */
  TOKENLEARNER_KERNEL_BODY const Element* source(int row, int column) const {
    // 32-bit numbers, since their division is short. A pass has fewer pixels: see kMostImagePixels.
    const std::uint32_t n = first_pixel + static_cast<std::uint32_t>(row);
    const std::uint32_t image = n / static_cast<std::uint32_t>(args.pixels);
    const std::uint32_t pixel = n - image * static_cast<std::uint32_t>(args.pixels);
    return static_cast<const Element*>(args.x.data) + image * args.x.batch_stride +
           args.x.pixel_offset(pixel) +
           (first_channel + column * Unit<kPrecision>::kChannels) * args.x.channel_stride;
  }

  /** The number of channels from unit `column` on. 0 beyond the pixels. */
  TOKENLEARNER_KERNEL_BODY int count(int row, int column) const {
    const bool inside = first_pixel + static_cast<std::uint32_t>(row) < args.pixel_count;
    return inside ? args.channels - first_channel - column * Unit<kPrecision>::kChannels : 0;
  }

  TOKENLEARNER_KERNEL_BODY Unit<kPrecision> load(int row, int column) const {
    return load_unit<kPrecision>(source(row, column), args.x.channel_stride, count(row, column),
                                 args.x.channel_units);
  }

  /** Pixels `row` and `row` + 1, of 16 bits. They are in one image, and both or none of them is inside. */
  TOKENLEARNER_KERNEL_BODY void load_pair(Unit<kPrecision> (&units)[2], int row, int column) const {
    const Element* at = computed(source(row, column));
    const int channels = count(row, column);
    std::uint32_t pairs[8];
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 8; ++i) {
      pairs[i] = i < channels ? *reinterpret_cast<const std::uint32_t*>(at + i * args.x.channel_stride) : 0;
    }
    Word4 words[2];
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 4; ++i) {
      words[0].word[i] = (pairs[2 * i] & 0xffffu) | (pairs[2 * i + 1] << 16);
      words[1].word[i] = (pairs[2 * i] >> 16) | (pairs[2 * i + 1] & 0xffff0000u);
    }
    memcpy(&units[0], &words[0], kUnitBytes);
    memcpy(&units[1], &words[1], kUnitBytes);
  }

  TOKENLEARNER_KERNEL_BODY static void swap_if(bool condition, Unit<kPrecision>& a, Unit<kPrecision>& b) {
    Word4 first, second;
    memcpy(&first, &a, kUnitBytes);
    memcpy(&second, &b, kUnitBytes);
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 4; ++i) {
      const std::uint32_t word = first.word[i];
      first.word[i] = condition ? second.word[i] : word;
      second.word[i] = condition ? word : second.word[i];
    }
    memcpy(&a, &first, kUnitBytes);
    memcpy(&b, &second, kUnitBytes);
  }

  TOKENLEARNER_KERNEL_BODY void run_channels(std::uint8_t* target) const {
    const int column = machine.thread() % kUnitsPerRow;
    const int row = machine.thread() / kUnitsPerRow;
    constexpr int kStep = kPackThreads / kUnitsPerRow;
    Unit<kPrecision> units[kUnitsPerThread];
    TOKENLEARNER_UNROLL
    for (int i = 0; i < kUnitsPerThread; ++i) units[i] = load(row + i * kStep, column);
    TOKENLEARNER_UNROLL
    for (int i = 0; i < kUnitsPerThread; ++i) place<kPrecision>(target, row + i * kStep, column, units[i]);
  }

  TOKENLEARNER_KERNEL_BODY void run_pixels(std::uint8_t* target) const {
    static_assert(kUnitsPerThread == 2 && kPackThreads == 32 * kUnitsPerRow && kBlockRows == 64);
    const int lane = machine.thread() % 32;
    const int column = machine.thread() / 32;
    Unit<kPrecision> units[2];
    int row = lane;
    int step = 32;
    bool is_paired = false;
    if constexpr (element_bytes(kPrecision) == 2) is_paired = args.x.pixel_pairs;
    if (is_paired) {
      row = 2 * lane;
      step = 1;
      if constexpr (element_bytes(kPrecision) == 2) load_pair(units, row, column);
    } else {
      units[0] = load(row, column);
      units[1] = load(row + step, column);
    }
    // Eight lanes store at a time. With pairs, four of them take the odd row first: so all eight units are in
    // different banks.
    const bool is_odd_first = is_paired && (lane & 4) != 0;
    swap_if(is_odd_first, units[0], units[1]);
    place<kPrecision>(machine, is_odd_first ? row + 1 : row, column, units[0]);
    place<kPrecision>(machine, is_odd_first ? row : row + step, column, units[1]);
    write_out<kPrecision>(machine, target);
  }
};

/**
 * Grid: (pixel blocks, chunks). With `kChannelsLast`, adjacent threads take adjacent channels, not pixels, and
 * need no shared memory.
 */
template <Precision kPrecision, bool kChannelsLast, class Machine>
TOKENLEARNER_KERNEL_BODY void pack_pixels_body(Machine& machine, const PackPixelsArgs& args) {
  const int chunk = machine.block_y();
  const std::int64_t block = static_cast<std::int64_t>(machine.block_x()) * args.chunks + chunk;
  std::uint8_t* target = args.blocks + block * (kBlockBytes * planes_of(kPrecision));
  const PackPixels<kPrecision, Machine> pack{machine, args,
                                             static_cast<std::uint32_t>(machine.block_x()) * kBlockRows,
                                             chunk * channels_per_chunk(kPrecision)};
  if constexpr (kChannelsLast) {
    pack.run_channels(target);
  } else {
    pack.run_pixels(target);
  }
}

/** Grid: (hidden blocks, chunks, groups). No shared memory. */
template <Precision kPrecision, class Machine>
TOKENLEARNER_KERNEL_BODY void pack_weights_body(Machine& machine, const PackWeightsArgs& args) {
  using Element = typename Unit<kPrecision>::Element;
  const int column = machine.thread() % kUnitsPerRow;
  const int channel =
      machine.block_y() * channels_per_chunk(kPrecision) + column * Unit<kPrecision>::kChannels;
  const std::int64_t hidden_blocks = args.hidden_padded / kBlockRows;
  const std::int64_t block =
      (machine.block_z() * hidden_blocks + machine.block_x()) * args.chunks + machine.block_y();
  std::uint8_t* target = args.blocks + block * (kBlockBytes * planes_of(kPrecision));
  for (int row = machine.thread() / kUnitsPerRow; row < kBlockRows; row += kPackThreads / kUnitsPerRow) {
    const int k = machine.block_x() * kBlockRows + row;
    const std::int64_t weight_row = static_cast<std::int64_t>(machine.block_z()) * args.hidden + k;
    const Element* source = static_cast<const Element*>(args.weight) + weight_row * args.channels + channel;
    place<kPrecision>(target, row, column,
                      load_unit<kPrecision>(source, 1, k < args.hidden ? args.channels - channel : 0, false));
  }
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

/** Grid: (ceil(rows * padded_columns / kPackThreads)). */
template <class Machine>
TOKENLEARNER_KERNEL_BODY void widen_body(Machine& machine, const WidenArgs& args) {
  const std::int64_t index = static_cast<std::int64_t>(machine.block_x()) * kPackThreads + machine.thread();
  if (index >= args.rows * args.padded_columns) return;
  const std::int64_t row = index / args.padded_columns, column = index % args.padded_columns;
  const bool exists = args.source != nullptr && column < args.columns;
  args.target[index] = exists ? load_element(args.source, args.dtype, row * args.columns + column) : 0.0f;
}

}  // namespace tokenlearner::kernels::cuda
