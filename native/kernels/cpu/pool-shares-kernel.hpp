// The shares of an image merged, and its tokens written. The file that includes this one has opened its own
// namespace. See Note [Online softmax].

template <typename T>
void merge(const MergeTile& tile) {
  T* const largest = static_cast<T*>(tile.into.largest);
  const T* const other = static_cast<const T*>(tile.other.largest);
  for (std::int64_t g = 0; g < tile.tokens; ++g) {
    const T next = other[g] > largest[g] ? other[g] : largest[g];
    const double before = __builtin_exp(static_cast<double>(largest[g]) - static_cast<double>(next));
    const double after = __builtin_exp(static_cast<double>(other[g]) - static_cast<double>(next));
    tile.into.sum[g] = tile.into.sum[g] * before + tile.other.sum[g] * after;
    tile.into.offset[g] = tile.into.offset[g] * before + tile.other.offset[g] * after;
    largest[g] = next;
    const T first = static_cast<T>(before);
    const T second = static_cast<T>(after);
    for (std::int64_t c = 0; c < tile.channels; c += kPooledPixels<T>) {
      T* const y = static_cast<T*>(tile.into.y) + pooled_at<T>(tile.tokens, g, c);
      const T* const more = static_cast<const T*>(tile.other.y) + pooled_at<T>(tile.tokens, g, c);
      for (std::int64_t i = 0; i < kPooledPixels<T>; ++i) y[i] = y[i] * first + more[i] * second;
    }
  }
}

/**
 * The value convolution on one token, in place. Sums of blocks of kBlock products, as in product-kernel.hpp. `scratch` has
 * room for 2 * n values.
 */
template <typename T>
void convolve_token(const T* value, std::int64_t groups, std::int64_t n, T* token, T* scratch) {
  T* const total = scratch;
  T* const part = scratch + n;
  for (std::int64_t k = 0; k < groups; ++k, token += n) {
    for (std::int64_t o = 0; o < n; ++o) total[o] = 0;
    for (std::int64_t first = 0; first < n; first += kBlock<T>) {
      const std::int64_t end = first + kBlock<T> < n ? first + kBlock<T> : n;
      for (std::int64_t o = 0; o < n; ++o) part[o] = 0;
      for (std::int64_t i = first; i < end; ++i, value += n) {
        const T factor = token[i];
        for (std::int64_t o = 0; o < n; ++o) part[o] += value[o] * factor;
      }
      for (std::int64_t o = 0; o < n; ++o) total[o] += part[o];
    }
    for (std::int64_t o = 0; o < n; ++o) token[o] = total[o];
  }
}

/** The sum of weights times centred x, and with a factor and an offset y = (that sum + the sum of weights times means) / sum of weights. */
template <typename T>
struct TokenSums {
  const FinishTile& tile;

  /** The factor and the offset take the place of the two sums. */
  void normalise() const {
    for (std::int64_t g = 0; g < tile.tokens; ++g) {
      const double sum = tile.share.sum[g];
      tile.share.sum[g] = static_cast<T>(1 / sum);
      tile.share.offset[g] = static_cast<T>(tile.share.offset[g] / sum);
    }
  }
  T factor(std::int64_t token) const { return static_cast<T>(tile.share.sum[token]); }
  T offset(std::int64_t token) const { return static_cast<T>(tile.share.offset[token]); }
  /** write(i, y) for up to kPooledPixels channels from `channel` on. */
  template <typename Write>
  TOKENLEARNER_ALWAYS_INLINE void each(std::int64_t token, std::int64_t channel, const Write& write) const {
    const T* const y = static_cast<const T*>(tile.share.y) + pooled_at<T>(tile.tokens, token, channel);
    for (std::int64_t i = 0; i < kPooledPixels<T> && channel + i < tile.channels; ++i)
      write(i, y[i] * factor(token) + offset(token));
  }
};

/** One token as a row of C values: what the pixel or the value convolution makes of it. */
template <typename Stored, typename T>
void finish_token(const FinishTile& tile, const TokenSums<T>& sums, std::int64_t token, T* y, T* scratch) {
  if (tile.only_pixel != nullptr) {
    // 1, or NaN for a pixel without a finite sum.
    const T weight = sums.factor(token) / sums.factor(token);
    const Stored* const pixel = static_cast<const Stored*>(tile.only_pixel);
    for (std::int64_t c = 0; c < tile.channels; ++c)
      y[c] = widen(pixel[c * tile.pixel_channel_stride]) * weight;
  } else {
    for (std::int64_t c = 0; c < tile.channels; c += kPooledPixels<T>)
      sums.each(token, c, [&](std::int64_t i, T value) { y[c + i] = value; });
  }
  if (tile.value != nullptr)
    convolve_token<T>(static_cast<const T*>(tile.value), tile.groups, tile.channels / tile.groups, y,
                      scratch);
}

/** Writes kPooledTokens tokens of kPooledPixels channels: rows of tokens if kTokensLast, else rows of channels. */
template <typename T, bool kTokensLast>
TOKENLEARNER_ALWAYS_INLINE void write_pooled(Vector<T, static_cast<int>(kLanesOf<T>)> value, T* out,
                                             std::int64_t row_stride) {
  constexpr int kTokens = kPooledTokens<T>, kChannels = kPooledPixels<T>;
  constexpr int kRow = kTokensLast ? kTokens : kChannels;
  if constexpr (kTokensLast) {
    value = [&]<int... kIndex>(std::integer_sequence<int, kIndex...>) __attribute__((always_inline)) {
      return __builtin_shufflevector(value, value, (kIndex % kTokens * kChannels + kIndex / kTokens)...);
    }(std::make_integer_sequence<int, kTokens * kChannels>{});
  }
  const auto row = [&]<int kFirst, int... kIndex>(
                       std::integer_sequence<int, kFirst>,
                       std::integer_sequence<int, kIndex...>) __attribute__((always_inline)) {
    T* const to = out + kFirst * row_stride;
    if constexpr (kRow == 1) {
      *to = value[kFirst];
    } else {
      store<T, kRow>(to, __builtin_shufflevector(value, value, (kFirst * kRow + kIndex)...));
    }
  };
  [&]<int... kFirst>(std::integer_sequence<int, kFirst...>) __attribute__((always_inline)) {
    (row(std::integer_sequence<int, kFirst>{}, std::make_integer_sequence<int, kRow>{}), ...);
  }(std::make_integer_sequence<int, kTokens * kChannels / kRow>{});
}

/** Writes the first `tokens` tokens of the first `channels` channels, which fill whole vectors. */
template <typename T, bool kTokensLast>
void finish_vectors(const FinishTile& tile, const TokenSums<T>& sums, std::int64_t tokens,
                    std::int64_t channels) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  constexpr std::int64_t kTokens = kPooledTokens<T>, kChannels = kPooledPixels<T>;
  T* const factors = static_cast<T*>(tile.scratch);
  T* const offsets = factors + tokens * kChannels;
  for (std::int64_t i = 0; i < tokens * kChannels; ++i) {
    factors[i] = sums.factor(i / kChannels);
    offsets[i] = sums.offset(i / kChannels);
  }
  const std::int64_t row_stride = kTokensLast ? tile.out_channel_stride : tile.out_token_stride;
  for (std::int64_t c = 0; c < channels; c += kChannels) {
    const T* const y = static_cast<const T*>(tile.share.y) + pooled_at<T>(tile.tokens, 0, c);
    T* const out = static_cast<T*>(tile.out) + c * tile.out_channel_stride;
    for (std::int64_t g = 0; g < tokens; g += kTokens) {
      const std::int64_t at = g * kChannels;
      write_pooled<T, kTokensLast>(
          load<T, kLanes>(y + at) * load<T, kLanes>(factors + at) + load<T, kLanes>(offsets + at),
          out + g * tile.out_token_stride, row_stride);
    }
  }
}

template <typename Stored, typename T>
void finish(const FinishTile& tile) {
  const TokenSums<T> sums{tile};
  sums.normalise();
  Stored* const out = static_cast<Stored*>(tile.out);
  if (tile.only_pixel != nullptr || tile.value != nullptr) {
    T* const y = static_cast<T*>(tile.scratch);
    for (std::int64_t g = 0; g < tile.tokens; ++g) {
      finish_token<Stored>(tile, sums, g, y, y + tile.channels);
      for (std::int64_t c = 0; c < tile.channels; ++c)
        out[c * tile.out_channel_stride + g * tile.out_token_stride] = narrow<Stored>(y[c]);
    }
    return;
  }
  // What vectors write, where one of the strides is 1.
  std::int64_t tokens = 0, channels = 0;
  if constexpr (std::is_same_v<Stored, T>) {
    if (tile.out_token_stride == 1 || tile.out_channel_stride == 1) {
      tokens = tile.tokens / kPooledTokens<T> * kPooledTokens<T>;
      channels = tile.channels / kPooledPixels<T> * kPooledPixels<T>;
      const auto write = tile.out_token_stride == 1 ? finish_vectors<T, true> : finish_vectors<T, false>;
      write(tile, sums, tokens, channels);
    }
  }
  for (std::int64_t c = 0; c < tile.channels; c += kPooledPixels<T>) {
    for (std::int64_t g = c < channels ? tokens : 0; g < tile.tokens; ++g) {
      Stored* const to = out + c * tile.out_channel_stride + g * tile.out_token_stride;
      sums.each(g, c, [&](std::int64_t i, T y) { to[i * tile.out_channel_stride] = narrow<Stored>(y); });
    }
  }
}
