// y[c,g] = sum_p x[c,p] * A[g,p], divided by P or 1. The file that includes this one has opened its own namespace.
//
// It computes a few channels of one image at a time. The sum goes over chunks of kTokenChunk pixels in order.
// Within a chunk each vector lane sums its own pixels, then the lanes are added. This order depends only on
// P. A hidden layer of K units costs K times as much.

constexpr std::int64_t kTokenChannels = 4;
constexpr std::int64_t kTokenChunk = 512;
/** Tokens per register tile: as many as fit in 16 or 32 registers. */
constexpr std::int64_t kTokenGroups = kRows == 8 ? 4 : 2;

/**
 * sums[i][j] = sum over `count` pixels of x row i times A row j. Rows of x are zero-padded to full vectors.
 */
template <typename T>
void token_products(const T* x, const T* const (&maps)[kTokenGroups], std::int64_t count,
                    T (&sums)[kTokenChannels][kTokenGroups]) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  using V = Vector<T, kLanes>;
  V acc[kTokenChannels][kTokenGroups] = {};
  const auto step = [&](std::int64_t p, const V(&map)[kTokenGroups]) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int i = 0; i < kTokenChannels; ++i) {
      const V pixels = load<T, kLanes>(x + i * kTokenChunk + p);
#pragma GCC unroll 4
      for (int j = 0; j < kTokenGroups; ++j) acc[i][j] += pixels * map[j];
    }
  };
  std::int64_t p = 0;
  V map[kTokenGroups];
  for (; p + kLanes <= count; p += kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < kTokenGroups; ++j) map[j] = load<T, kLanes>(maps[j] + p);
    step(p, map);
  }
  if (p < count) {
    for (int j = 0; j < kTokenGroups; ++j) map[j] = load_some<T, kLanes>(maps[j] + p, count - p);
    step(p, map);
  }
#pragma GCC unroll 4
  for (int i = 0; i < kTokenChannels; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kTokenGroups; ++j) sums[i][j] = sum_lanes<T, kLanes>(acc[i][j]);
  }
}

/**
 * Scratch holds kTokenChannels rows of kTokenChunk pixels, then the running sums [kTokenChannels][groups].
 */
template <typename Stored, typename T>
void tokens(const TokenTile& tile) {
  constexpr std::int64_t kLanes = kLanesOf<T>;
  const std::int64_t pixels = tile.source.height * tile.source.width;
  T* rows = static_cast<T*>(tile.scratch);
  T* totals = rows + kTokenChannels * kTokenChunk;
  for (std::int64_t i = 0; i < kTokenChannels * tile.groups; ++i) totals[i] = 0;

  PixelSource source = tile.source;
  source.x = static_cast<const Stored*>(source.x) + tile.first_channel * source.channel_stride;
  for (std::int64_t first = 0; first < pixels; first += kTokenChunk) {
    const std::int64_t count = pixels - first < kTokenChunk ? pixels - first : kTokenChunk;
    pack_rows<Stored>(source, tile.channels, tile.image * pixels + first, count, rows, kTokenChunk);
    const std::int64_t padded = (count + kLanes - 1) / kLanes * kLanes;
    for (std::int64_t c = 0; c < kTokenChannels; ++c) {
      for (std::int64_t i = c < tile.channels ? count : 0; i < padded; ++i) rows[c * kTokenChunk + i] = 0;
    }
    for (std::int64_t g = 0; g < tile.groups; g += kTokenGroups) {
      // The last tile repeats the last token to fill up. The extra results are dropped.
      const T* maps[kTokenGroups];
      for (std::int64_t j = 0; j < kTokenGroups; ++j) {
        const std::int64_t group = g + j < tile.groups ? g + j : tile.groups - 1;
        maps[j] = static_cast<const T*>(tile.attention) + group * tile.attention_token_stride + first;
      }
      T sums[kTokenChannels][kTokenGroups];
      token_products<T>(rows, maps, count, sums);
      for (std::int64_t c = 0; c < tile.channels; ++c) {
        for (std::int64_t j = 0; j < kTokenGroups && g + j < tile.groups; ++j) {
          totals[c * tile.groups + g + j] += sums[c][j];
        }
      }
    }
  }
  Stored* out = static_cast<Stored*>(tile.tokens) + tile.first_channel * tile.tokens_channel_stride;
  for (std::int64_t c = 0; c < tile.channels; ++c) {
    for (std::int64_t g = 0; g < tile.groups; ++g) {
      const T y = totals[c * tile.groups + g] / static_cast<T>(tile.divisor);
      out[c * tile.tokens_channel_stride + g * tile.tokens_token_stride] = narrow<Stored>(y);
    }
  }
}
