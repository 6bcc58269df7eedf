// The pooled sums of TokenLearner v1.1, one block of pixels after the other. The file that includes this one has opened its own
// namespace.

// Note: [Pooled sums]
// y[g][c] is a sum over pixels, and pixels are what lies side by side in a panel. A vector of pixels alone ends as one number: with 81
// pixels, adding up its lanes takes half as long as the products. So a vector holds kPooledTokens tokens with kPooledPixels pixels each. The
// weights of a block are packed in that order, and the pixels of a channel are loaded once and repeated for every token. The few
// pixels that are left to add up are those of as many channels at once, which then lie side by side. That is the layout of y, see
// pooled_at(). Tokens are filled up with zeros, channels with copies of the last one, which are never read.
template <typename T>
constexpr int kPooledTokens = kLanesOf<T> < 4 ? static_cast<int>(kLanesOf<T>) : 4;
template <typename T>
constexpr int kPooledPixels = static_cast<int>(kLanesOf<T>) / kPooledTokens<T>;
/** Channels in registers, for two vectors of tokens. */
constexpr int kPooledChannels = kRows == 8 ? 8 : 4;

static_assert(kPooledChannels <= kMostPooledChannels && kPooledPixels<float> <= kMostPooledPixels);

/** The distance from kPooledPixels channels of y to the next, and from as many pixels' weights to the next. */
template <typename T>
TOKENLEARNER_ALWAYS_INLINE std::int64_t pooled_stride(std::int64_t tokens) {
  return padded_tokens(tokens) * kPooledPixels<T>;
}

template <typename T>
TOKENLEARNER_ALWAYS_INLINE std::int64_t pooled_at(std::int64_t tokens, std::int64_t token,
                                                  std::int64_t channel) {
  constexpr std::int64_t kPixels = kPooledPixels<T>;
  return channel / kPixels * pooled_stride<T>(tokens) + token * kPixels + channel % kPixels;
}

/** `kCount` adjacent numbers, repeated in all vector lanes. */
template <typename T, int kLanes, int kCount>
TOKENLEARNER_ALWAYS_INLINE Vector<T, kLanes> repeat(const T* from) {
  if constexpr (kCount == 1) {
    return broadcast<T, kLanes>(*from);
  } else if constexpr (kCount * sizeof(T) == 8) {
    constexpr int kPairs = kLanes / kCount;
    const auto* const pair = reinterpret_cast<const typename VectorOf<std::int64_t, 1>::Memory*>(from);
    return (Vector<T, kLanes>)broadcast<std::int64_t, kPairs>((*pair)[0]);
  } else {
#if defined(__AVX512F__)
    static_assert(kLanes * sizeof(T) == 64 && kCount * sizeof(T) == 16);
    return (Vector<T, kLanes>)_mm512_maskz_broadcast_f32x4(kAllLanes, (__m128)load<T, kCount>(from));
#endif
  }
}

/** Packs the weights of a block: see Note [Pooled sums]. */
template <typename T>
void pack_pool_weights(const PoolTile& tile) {
  constexpr int kPixels = kPooledPixels<T>;
  const std::int64_t stride = pooled_stride<T>(tile.tokens);
  for (std::int64_t g = 0; g < padded_tokens(tile.tokens); ++g) {
    const T* const row = static_cast<const T*>(tile.weights) + g * tile.stride;
    T* to = static_cast<T*>(tile.packed) + g * kPixels;
    for (std::int64_t i = 0; i < tile.stride; i += kPixels, to += stride) {
      for (int k = 0; k < kPixels; ++k) to[k] = g < tile.tokens ? row[i + k] : T{0};
    }
  }
}

/**
 * [a's segments of kSegment vector lanes, each halved by adding its two halves, between b's].
 */
template <typename T, int kLanes, int kSegment>
TOKENLEARNER_ALWAYS_INLINE Vector<T, kLanes> fold(Vector<T, kLanes> a, Vector<T, kLanes> b) {
  return [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) __attribute__((always_inline)) {
    // Each half of b stays in its lanes, so that one of the two is a blend and only the other has to move lanes.
    constexpr int kHalf = kSegment / 2;
    const auto kept =
        __builtin_shufflevector(a, b, (kIndex % kSegment < kHalf ? kIndex : kLanes + kIndex)...);
    const auto moved = __builtin_shufflevector(
        a, b, (kIndex % kSegment < kHalf ? kIndex + kHalf : kLanes + kIndex - kHalf)...);
    return kept + moved;
  }(std::make_integer_sequence<int, kLanes>{});
}

/** From kPooledPixels channels of [token][pixel], the sums over pixels: [token][channel]. */
template <typename T>
TOKENLEARNER_ALWAYS_INLINE Vector<T, static_cast<int>(kLanesOf<T>)> pooled_sums(
    const Vector<T, static_cast<int>(kLanesOf<T>)>* acc) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  if constexpr (kPooledPixels<T> == 4) {
    return fold<T, kLanes, 2>(fold<T, kLanes, 4>(acc[0], acc[2]), fold<T, kLanes, 4>(acc[1], acc[3]));
  } else if constexpr (kPooledPixels<T> == 2) {
    return fold<T, kLanes, 2>(acc[0], acc[1]);
  } else {
    return acc[0];
  }
}

/** kPooledChannels channels from `channel` on, and kCount vectors of tokens from `vector` on. */
template <typename T, int kCount>
TOKENLEARNER_ALWAYS_INLINE void pool_channels(const PoolTile& tile, std::int64_t channel, std::int64_t vector,
                                              T* y) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  constexpr int kPixels = kPooledPixels<T>;
  using V = Vector<T, kLanes>;
  const std::int64_t stride = pooled_stride<T>(tile.tokens);
  V acc[kCount][kPooledChannels] = {};
  for (const PanelView* panel = tile.panels; panel != tile.panels + tile.panel_count; ++panel) {
    const T* rows[kPooledChannels];
    for (int i = 0; i < kPooledChannels; ++i) {
      const std::int64_t row = channel + i < tile.channels ? channel + i : tile.channels - 1;
      rows[i] = static_cast<const T*>(panel->x) + row * panel->width;
    }
    const T* weights = static_cast<const T*>(tile.packed) + panel->lane / kPixels * stride + vector * kLanes;
    for (std::int64_t p = 0; p < panel->pixels; p += kPixels, weights += stride) {
      V factors[kCount];
#pragma GCC unroll 2
      for (int v = 0; v < kCount; ++v) factors[v] = load<T, kLanes>(weights + v * kLanes);
#pragma GCC unroll 8
      for (int i = 0; i < kPooledChannels; ++i) {
        const V pixels = repeat<T, kLanes, kPixels>(rows[i] + p);
#pragma GCC unroll 2
        for (int v = 0; v < kCount; ++v) acc[v][i] += pixels * factors[v];
      }
    }
  }
  const T* const scales = static_cast<const T*>(tile.scale) + vector * kLanes;
#pragma GCC unroll 2
  for (int v = 0; v < kCount; ++v) {
#pragma GCC unroll 8
    for (int i = 0; i < kPooledChannels; i += kPixels) {
      T* const at = y + i / kPixels * stride + (vector + v) * kLanes;
      V sum = pooled_sums<T>(acc[v] + i);
      if (!tile.is_first) sum += load<T, kLanes>(at) * load<T, kLanes>(scales + v * kLanes);
      store<T, kLanes>(at, sum);
    }
  }
}

/** y[g][c] = y[g][c] * scale[g] + sum over the block's pixels of weight[g][p] * x[c][p]. */
template <typename T>
void pool(const PoolTile& tile) {
  pack_pool_weights<T>(tile);
  const std::int64_t vectors = padded_tokens(tile.tokens) / kPooledTokens<T>;
  for (std::int64_t c = 0; c < tile.channels; c += kPooledChannels) {
    T* const y = static_cast<T*>(tile.y) + c * padded_tokens(tile.tokens);
    std::int64_t v = 0;
    for (; v + 2 <= vectors; v += 2) pool_channels<T, 2>(tile, c, v, y);
    if (v < vectors) pool_channels<T, 1>(tile, c, v, y);
  }
}
