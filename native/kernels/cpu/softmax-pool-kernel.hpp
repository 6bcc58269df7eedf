// The softmax over pixels and the pooled sum of TokenLearner v1.1, one block of pixels after the other. The file
// that includes this one has opened its own namespace.

// Note: [Online softmax]
// A share of an image keeps, for each token, the largest L so far, the sum of exp(L - largest), and the sum of x
// with those weights. A block with a larger L first scales the old sums down. The shares are merged at the end in
// the same way. Their bounds depend only on the image's size, so neither threads nor the batch change a bit.

static_assert(kPooledTile == kTokenChannels && kPooledTile % kTokenGroups == 0);

/** The sums of `count` numbers and of their products with `factors`, in double; the numbers end with a whole vector. */
template <typename T>
TOKENLEARNER_ALWAYS_INLINE void add_up(const T* values, const T* factors, std::int64_t count, double& sum,
                                       double& product) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  using D = Vector<double, kLanes>;
  D sums{}, products{};
  for (std::int64_t i = 0; i < count; i += kLanes) {
    const D value = __builtin_convertvector(load<T, kLanes>(values + i), D);
    sums += value;
    products += value * __builtin_convertvector(load<T, kLanes>(factors + i), D);
  }
  for (int lane = 0; lane < kLanes; ++lane) sum += sums[lane], product += products[lane];
}

/** Turns L into exp(L - largest), brings the sums up to date, and gives the factor of the old ones. */
template <typename T>
void softmax_block(const SoftmaxTile& tile) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  using V = Vector<T, kLanes>;
  const T* const mean = static_cast<const T*>(tile.mean);
  T* const scales = static_cast<T*>(tile.scale);
  for (std::int64_t g = 0; g < tile.tokens; ++g) {
    T* const row = static_cast<T*>(tile.logits) + g * tile.stride;
    for (const PanelView* panel = tile.panels; panel != tile.panels + tile.panel_count; ++panel) {
      for (std::int64_t i = panel->pixels; i < panel->width; ++i) row[panel->lane + i] = -__builtin_inf();
    }
    for (std::int64_t i = tile.lanes; i < tile.stride; ++i) row[i] = -__builtin_inf();
    T& largest = static_cast<T*>(tile.largest)[g];
    V best = broadcast<T, kLanes>(largest);
    for (std::int64_t i = 0; i < tile.stride; i += kLanes) best = maximum(load<T, kLanes>(row + i), best);
    T next = largest;
    for (int i = 0; i < kLanes; ++i) next = best[i] > next ? best[i] : next;
    const V factor = exponential<kLanes>(broadcast<T, kLanes>(largest) - broadcast<T, kLanes>(next));
    const V limit = broadcast<T, kLanes>(next);
    for (std::int64_t i = 0; i < tile.stride; i += kLanes)
      store<T, kLanes>(row + i, exponential<kLanes>(load<T, kLanes>(row + i) - limit));
    for (const PanelView* panel = tile.panels; panel != tile.panels + tile.panel_count; ++panel) {
      for (std::int64_t i = panel->pixels; i < panel->width; ++i) row[panel->lane + i] = 0;
    }
    for (std::int64_t i = tile.lanes; i < tile.stride; ++i) row[i] = 0;
    double sum = 0, offset = 0;
    add_up(row, mean, tile.stride, sum, offset);
    // Before the first block there is nothing to scale: infinity - infinity is NaN.
    const T scale = tile.is_first ? T{0} : factor[0];
    tile.sum[g] = tile.is_first ? sum : tile.sum[g] * scale + sum;
    tile.offset[g] = tile.is_first ? offset : tile.offset[g] * scale + offset;
    for (std::int64_t i = 0; i < kTokenChannels; ++i) scales[g * kTokenChannels + i] = scale;
    largest = next;
  }
  for (std::int64_t i = tile.tokens * kTokenChannels; i < pooled_stride(tile.tokens); ++i) scales[i] = 0;
}

/**
 * [a's segments of kSegment vector lanes, each halved by adding its two halves, between b's]. Repeated, it turns as many
 * vectors as there are lanes into one vector of their sums.
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

/** The sums of kLanes vectors, in order. Overwrites them. */
template <typename T, int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<T, kLanes> sums_of(Vector<T, kLanes>* acc) {
  // Folding i and i + half each time leaves the sums in order.
  if constexpr (kLanes == 16) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) acc[i] = fold<T, kLanes, 16>(acc[i], acc[i + 8]);
  }
  if constexpr (kLanes >= 8) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) acc[i] = fold<T, kLanes, 8>(acc[i], acc[i + 4]);
  }
  if constexpr (kLanes >= 4) {
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) acc[i] = fold<T, kLanes, 4>(acc[i], acc[i + 2]);
  }
  return fold<T, kLanes, 2>(acc[0], acc[1]);
}

/** Loads the vector lanes that a panel has: half a vector in the narrowest one. */
template <typename T, int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<T, kLanes> load_half(const T* from) {
  const auto half = load<T, kLanes / 2>(from);
  return [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) __attribute__((always_inline)) {
    return __builtin_shufflevector(half, Vector<T, kLanes / 2>{}, kIndex...);
  }(std::make_integer_sequence<int, kLanes>{});
}

/** Four channels and kTokenGroups tokens of the block's sums. acc[j * 4 + i] belongs to channel i and token j. */
template <typename T>
TOKENLEARNER_ALWAYS_INLINE void pool_tile(const PoolTile& tile,
                                          const std::int64_t (&channels)[kTokenChannels],
                                          const T* const (&weights)[kTokenGroups],
                                          Vector<T, static_cast<int>(kLanesOf<T>)>* acc) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  using V = Vector<T, kLanes>;
  for (const PanelView* panel = tile.panels; panel != tile.panels + tile.panel_count; ++panel) {
    const T* const x = static_cast<const T*>(panel->x);
    const auto step = [&](std::int64_t lane, const auto& load_x) __attribute__((always_inline)) {
      V pixels[kTokenChannels];
#pragma GCC unroll 4
      for (int i = 0; i < kTokenChannels; ++i) pixels[i] = load_x(x + channels[i] * panel->width + lane);
#pragma GCC unroll 4
      for (int j = 0; j < kTokenGroups; ++j) {
        const V weight = load<T, kLanes>(weights[j] + panel->lane + lane);
#pragma GCC unroll 4
        for (int i = 0; i < kTokenChannels; ++i) acc[j * kTokenChannels + i] += pixels[i] * weight;
      }
    };
    if (TOKENLEARNER_VECTOR_BYTES == 64 && panel->width < kLanes) {
      step(0, [](const T* from) __attribute__((always_inline)) { return load_half<T, kLanes>(from); });
      continue;
    }
    for (std::int64_t lane = 0; lane < panel->width; lane += kLanes)
      step(lane, [](const T* from) __attribute__((always_inline)) { return load<T, kLanes>(from); });
  }
}

/** y[g][c] = y[g][c] * scale[g] + sum over the block's pixels of weight[g][p] * x[c][p]. */
template <typename T>
void pool(const PoolTile& tile) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  constexpr int kAll = kTokenChannels * kTokenGroups;
  static_assert(kAll % kLanes == 0);
  using V = Vector<T, kLanes>;
  const T* const scales = static_cast<const T*>(tile.scale);
  T* y = static_cast<T*>(tile.y);
  for (std::int64_t c = 0; c < tile.channels; c += kTokenChannels, y += pooled_stride(tile.tokens)) {
    // The last tile repeats the last channel or token to fill up.
    std::int64_t channels[kTokenChannels];
    for (std::int64_t i = 0; i < kTokenChannels; ++i)
      channels[i] = c + i < tile.channels ? c + i : tile.channels - 1;
    for (std::int64_t g = 0; g < tile.tokens; g += kTokenGroups) {
      const T* weights[kTokenGroups];
      for (std::int64_t j = 0; j < kTokenGroups; ++j) {
        const std::int64_t token = g + j < tile.tokens ? g + j : tile.tokens - 1;
        weights[j] = static_cast<const T*>(tile.weights) + token * tile.stride;
      }
      V acc[kAll] = {};
      pool_tile<T>(tile, channels, weights, acc);
#pragma GCC unroll 8
      for (int i = 0; i < kAll; i += kLanes) {
        const std::int64_t at = g * kTokenChannels + i;
        const V share = sums_of<T, kLanes>(acc + i);
        const V before = load<T, kLanes>(y + at) * load<T, kLanes>(scales + at);
        store<T, kLanes>(y + at, tile.is_first ? share : before + share);
      }
    }
  }
}

/** out[i] = exp(in[i] - largest) / sum, in place: L of one token becomes its map. */
template <typename T>
void softmax_row(void* row, std::int64_t count, const void* largest, double sum) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  T* const values = static_cast<T*>(row);
  const auto limit = broadcast<T, kLanes>(*static_cast<const T*>(largest));
  const T factor = static_cast<T>(1 / sum);
  for (std::int64_t i = 0; i < count; i += kLanes) {
    const auto result = exponential<kLanes>(load_some<T, kLanes>(values + i, count - i) - limit) * factor;
    for (int lane = 0; lane < kLanes && i + lane < count; ++lane) values[i + lane] = result[lane];
  }
}

/** out[i] = exp(in[i]) or gelu(in[i]) in its tanh form, with the arithmetic of the kernels. For tests. */
template <typename T, bool kGelu>
void exponential_array(const void* in, void* out, std::int64_t count) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  const T* from = static_cast<const T*>(in);
  T* to = static_cast<T*>(out);
  for (std::int64_t i = 0; i < count; i += kLanes) {
    const auto x = load_some<T, kLanes>(from + i, count - i);
    const auto result = kGelu ? gelu_tanh<kLanes, T>(x) : exponential<kLanes>(x);
    for (int lane = 0; lane < kLanes && i + lane < count; ++lane) to[i + lane] = result[lane];
  }
}
