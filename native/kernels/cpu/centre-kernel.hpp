// A panel of pixels less its mean, for LayerNorm. The file that includes this one has opened its own namespace.

// Note: [Mean before product]
// With a large common offset of x, W0 (x - mean) differs from W0 x - mean W0 1: the second loses the offset's
// digits. So the mean m is subtracted from x before the product. m is the mean as it was rounded; the mean of
// what is left, r, is as small as m's rounding error, and here the second form loses nothing:
//   h = ((W0 (x - m)) - r W0 1) / sqrt(var + eps) + b0,   var = mean((x - m)^2) - r^2.
// The pooled sum uses x - m too: y = sum_p A[p] (x[p] - m[p]) + sum_p A[p] m[p]. A common offset is only in the
// second sum, which is one number per token and is kept in double.

/** Channels that are summed side by side: enough to hide the latency of an addition. */
constexpr std::int64_t kSumChains = 4;

// Where the pixels of a panel are adjacent in memory, both passes read x itself: the second finds it in a cache, and the
// panel is written once. Channels that are a multiple of 4096 bytes apart share few sets of the caches and are not found there:
// then the first pass copies them to the panel.

/** The rows of a panel that is packed already. */
template <typename T, int kLanes, int kWide>
struct PackedRows {
  const T* panel;

  TOKENLEARNER_ALWAYS_INLINE Vector<T, kLanes> at(std::int64_t channel, int vector) const {
    return load<T, kLanes>(panel + (channel * kWide + vector) * kLanes);
  }
  TOKENLEARNER_ALWAYS_INLINE void prefetch(std::int64_t) const {}
};

/** The rows of x. All lanes but the last kMissing of the last vector are pixels. */
template <typename T, int kLanes, int kWide, int kMissing>
struct SourceRows {
  const T* x;
  std::int64_t channel_stride;
  std::int64_t channels;

  TOKENLEARNER_ALWAYS_INLINE Vector<T, kLanes> at(std::int64_t channel, int vector) const {
    const T* const from = x + channel * channel_stride + vector * kLanes;
    if (kMissing == 0 || vector < kWide - 1) return load<T, kLanes>(from);
    Vector<T, kLanes> result{};
#pragma GCC unroll 16
    for (int i = 0; i < kLanes - kMissing; ++i) result[i] = from[i];
    return result;
  }
  TOKENLEARNER_ALWAYS_INLINE void prefetch(std::int64_t channel) const {
    if (channel + kRowsAhead >= channels) return;
    const T* const ahead = x + (channel + kRowsAhead) * channel_stride;
    constexpr auto kLine = static_cast<std::int64_t>(64 / sizeof(T));
    for (std::int64_t i = 0; i < kWide * kLanes - kMissing; i += kLine) __builtin_prefetch(ahead + i);
  }
};

template <typename T, int kLanes, int kWide, typename Rows>
void centre_rows(const Rows& rows, T* panel, std::int64_t channels, double eps, T* mean, T* scale, T* shift) {
  using V = Vector<T, kLanes>;
  V sums[kSumChains][kWide] = {};
  const std::int64_t whole = channels / kSumChains * kSumChains;
  for (std::int64_t c = 0; c < channels; c += kSumChains) {
    const std::int64_t chains = c < whole ? kSumChains : channels - c;
#pragma GCC unroll 4
    for (std::int64_t k = 0; k < kSumChains; ++k) {
      if (k >= chains) break;
      rows.prefetch(c + k);
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) sums[k][j] += rows.at(c + k, j);
    }
  }
  const T count = static_cast<T>(channels);
  V means[kWide];
  for (int j = 0; j < kWide; ++j) {
    means[j] = ((sums[0][j] + sums[1][j]) + (sums[2][j] + sums[3][j])) / count;
    store<T, kLanes>(mean + j * kLanes, means[j]);
  }
  V rest[2][kWide] = {};
  V squares[2][kWide] = {};
  for (std::int64_t c = 0; c < channels; c += 2) {
#pragma GCC unroll 2
    for (std::int64_t k = 0; k < 2; ++k) {
      if (c + k >= channels) break;
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) {
        const V centred = rows.at(c + k, j) - means[j];
        rest[k][j] += centred;
        squares[k][j] += centred * centred;
        store<T, kLanes>(panel + ((c + k) * kWide + j) * kLanes, centred);
      }
    }
  }
  for (int j = 0; j < kWide; ++j) {
    const V left = (rest[0][j] + rest[1][j]) / count;
    const V variance = (squares[0][j] + squares[1][j]) / count - left * left;
    for (int i = 0; i < kLanes; ++i) {
      const T deviation = static_cast<T>(__builtin_sqrt(static_cast<double>(variance[i]) + eps));
      scale[j * kLanes + i] = T{1} / deviation;
      shift[j * kLanes + i] = -left[i] / deviation;
    }
  }
}

/** The first pixel of a panel in x; null if the pixels are not adjacent. */
template <typename Stored>
const Stored* adjacent_pixels(const PixelSource& source, std::int64_t first, std::int64_t pixels) {
  if (source.pixel_stride != 1 || !is_one_run(source, first, pixels)) return nullptr;
  return static_cast<const Stored*>(source.x) + offset_of(source, first);
}

/** Packs one panel and centres it. */
template <typename Stored, typename T>
struct Centre {
  const CentreTile& tile;

  template <int kLanes, int kWide>
  void run() const {
    const std::int64_t missing = kWide * kLanes - tile.pixels;
    if constexpr (std::is_same_v<Stored, T>) {
      // Whole vectors, or a few pixels in the narrowest panel.
      const Stored* const x = adjacent_pixels<Stored>(tile.source, tile.first, tile.pixels);
      if (x != nullptr && missing == 0 && !shares_sets()) return from_source<kLanes, kWide, 0>(x);
      if constexpr (kWide == 1) {
        if (x != nullptr && tile.pixels <= kFew<kLanes>) return few_from_source<kLanes, 1>(x);
      }
    }
    constexpr std::int64_t kWidth = kWide * kLanes;
    T* const panel = static_cast<T*>(tile.panel);
    pack_rows<Stored>(tile.source, tile.channels, tile.first, tile.pixels, panel, kWidth);
    for (std::int64_t c = 0; c < tile.channels && missing > 0; ++c) {
      for (std::int64_t i = tile.pixels; i < kWidth; ++i) panel[c * kWidth + i] = 0;
    }
    centre<kLanes, kWide>(PackedRows<T, kLanes, kWide>{panel});
  }

 private:
  bool shares_sets() const {
    return tile.source.channel_stride * static_cast<std::int64_t>(sizeof(Stored)) % 4096 == 0;
  }

  /** So few pixels have an instance each, as in run_few_pixels(). */
  template <int kLanes>
  static constexpr int kFew = kLanes > 4 ? 4 : kLanes - 1;

  template <int kLanes, int kCount>
  void few_from_source(const Stored* x) const {
    if constexpr (kCount < kFew<kLanes>) {
      if (tile.pixels > kCount) return few_from_source<kLanes, kCount + 1>(x);
    }
    from_source<kLanes, 1, kLanes - kCount>(x);
  }

  template <int kLanes, int kWide, int kMissing>
  void from_source(const Stored* x) const {
    centre<kLanes, kWide>(
        SourceRows<T, kLanes, kWide, kMissing>{x, tile.source.channel_stride, tile.channels});
  }

  template <int kLanes, int kWide, typename Rows>
  void centre(const Rows& rows) const {
    centre_rows<T, kLanes, kWide>(rows, static_cast<T*>(tile.panel), tile.channels, tile.eps,
                                  static_cast<T*>(tile.mean), static_cast<T*>(tile.scale),
                                  static_cast<T*>(tile.shift));
  }
};

template <typename Stored, typename T>
void centre(const CentreTile& tile) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  const Centre<Stored, T> work{tile};
  const std::int64_t width = panel_width<T>(tile.pixels);
  if (width == kLanes) return work.template run<kLanes, 1>();
  if (width == 2 * kLanes) return work.template run<kLanes, 2>();
  if constexpr (kVectors == 3) {
    if (width == 3 * kLanes) return work.template run<kLanes, 3>();
  }
  if constexpr (TOKENLEARNER_VECTOR_BYTES == 64) return work.template run<kLanes / 2, 1>();
}
