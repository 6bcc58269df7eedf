// Panels of pixels with two channels in each element: [pixel_rows(C)][width] of type Pair, without any rounding. The file that
// includes this one has opened its own namespace.

/** Rows of packed pixels: a multiple of kPairRun, which is the number of pairs that one step of a product takes. */
constexpr std::int64_t pair_rows(std::int64_t channels) {
  return ((channels + 1) / 2 + kPairRun - 1) / kPairRun * kPairRun;
}

TOKENLEARNER_ALWAYS_INLINE Pair make_pair(BFloat16 low, BFloat16 high) {
  return low.bits | static_cast<Pair>(high.bits) << 16;
}

/** out[i] = the channels that start at `low` and `high`, for `count` pixels that are adjacent in memory. */
template <bool kBoth>
TOKENLEARNER_ALWAYS_INLINE void pair_run(const BFloat16* low, const BFloat16* high, std::int64_t count,
                                         Pair* out) {
  constexpr int kLanes = static_cast<int>(kLanesOf<Pair>);
  const auto whole = [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
    for (int k = 0; k < lanes; ++k) out[i + k] = kBoth ? make_pair(low[i + k], high[i + k]) : low[i + k].bits;
  };
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) whole(i, std::integral_constant<int, kLanes>{});
  if (kLanes > 8 && i + 8 <= count) whole(i, std::integral_constant<int, 8>{}), i += 8;
  for (; i < count; ++i) whole(i, std::integral_constant<int, 1>{});
}

/** Pixels that are adjacent in memory. */
TOKENLEARNER_ALWAYS_INLINE void pair_rows_of_run(const BFloat16* from, std::int64_t channel_stride,
                                                 std::int64_t channels, std::int64_t count, Pair* out,
                                                 std::int64_t out_stride) {
  constexpr std::int64_t kLine = 64 / sizeof(BFloat16);
  for (std::int64_t c = 0; c + 2 <= channels; c += 2) {
    const BFloat16* const low = from + c * channel_stride;
    const BFloat16* const high = low + channel_stride;
    if (c + kRowsAhead + 2 <= channels) {
      for (std::int64_t i = 0; i < count; i += kLine) {
        __builtin_prefetch(low + kRowsAhead * channel_stride + i);
        __builtin_prefetch(high + kRowsAhead * channel_stride + i);
      }
    }
    pair_run<true>(low, high, count, out + c / 2 * out_stride);
  }
  if (channels % 2 != 0) {
    const BFloat16* const last = from + (channels - 1) * channel_stride;
    pair_run<false>(last, last, count, out + channels / 2 * out_stride);
  }
}

/** Pixels with any strides. Works in blocks of channels: channels-last reads whole cache lines. */
inline void gather_pairs(const PixelSource& source, std::int64_t channels, std::int64_t first,
                         std::int64_t count, Pair* out, std::int64_t out_stride) {
  constexpr std::int64_t kChannels = 32;
  const auto* const x = static_cast<const BFloat16*>(source.x);
  for (std::int64_t block = 0; block < channels; block += kChannels) {
    const std::int64_t end = block + kChannels < channels ? block + kChannels : channels;
    for (std::int64_t i = 0; i < count; ++i) {
      const BFloat16* const pixel = x + offset_of(source, first + i);
      std::int64_t c = block;
      for (; c + 2 <= end; c += 2) {
        const BFloat16* const low = pixel + c * source.channel_stride;
        out[c / 2 * out_stride + i] = make_pair(low[0], low[source.channel_stride]);
      }
      if (c < end) out[c / 2 * out_stride + i] = pixel[c * source.channel_stride].bits;
    }
  }
}

inline void pack_pair_rows(const PixelSource& source, std::int64_t channels, std::int64_t first,
                           std::int64_t count, Pair* out, std::int64_t out_stride) {
  for (std::int64_t row = (channels + 1) / 2; row < pair_rows(channels); ++row) {
    for (std::int64_t i = 0; i < count; ++i) out[row * out_stride + i] = 0;
  }
  if (source.pixel_stride != 1) return gather_pairs(source, channels, first, count, out, out_stride);
  for_each_row_run(source, first, count, [&](std::int64_t offset, std::int64_t done, std::int64_t length) {
    pair_rows_of_run(static_cast<const BFloat16*>(source.x) + offset, source.channel_stride, channels, length,
                     out + done, out_stride);
  });
}

inline void pack_pixel_pairs(const PixelSource* sources, std::int64_t channels, std::int64_t first,
                             std::int64_t pixels, void* out) {
  pack_panels(sources, pair_rows(channels), first, pixels, static_cast<Pair*>(out),
              [channels](const PixelSource& source, std::int64_t from, std::int64_t count, Pair* to,
                         std::int64_t stride) { pack_pair_rows(source, channels, from, count, to, stride); });
}
