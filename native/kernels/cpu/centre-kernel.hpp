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

template <typename T, int kLanes, int kWide>
void centre_panel(T* panel, std::int64_t channels, double eps, T* mean, T* scale, T* shift) {
  using V = Vector<T, kLanes>;
  constexpr std::int64_t kWidth = kWide * kLanes;
  V sums[kSumChains][kWide] = {};
  const std::int64_t whole = channels / kSumChains * kSumChains;
  for (std::int64_t c = 0; c < channels; c += kSumChains) {
    const std::int64_t chains = c < whole ? kSumChains : channels - c;
#pragma GCC unroll 4
    for (std::int64_t k = 0; k < kSumChains; ++k) {
      if (k >= chains) break;
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) sums[k][j] += load<T, kLanes>(panel + (c + k) * kWidth + j * kLanes);
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
        T* const at = panel + (c + k) * kWidth + j * kLanes;
        const V centred = load<T, kLanes>(at) - means[j];
        rest[k][j] += centred;
        squares[k][j] += centred * centred;
        store<T, kLanes>(at, centred);
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

/** Packs one panel and centres it. */
template <typename Stored, typename T>
void centre(const CentreTile& tile) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  T* const panel = static_cast<T*>(tile.panel);
  T* const mean = static_cast<T*>(tile.mean);
  T* const scale = static_cast<T*>(tile.scale);
  T* const shift = static_cast<T*>(tile.shift);
  const std::int64_t width = panel_width<T>(tile.pixels);
  pack_rows<Stored>(tile.source, tile.channels, tile.first, tile.pixels, panel, width);
  for (std::int64_t c = 0; c < tile.channels && tile.pixels < width; ++c) {
    for (std::int64_t i = tile.pixels; i < width; ++i) panel[c * width + i] = 0;
  }
  if (width == kLanes) return centre_panel<T, kLanes, 1>(panel, tile.channels, tile.eps, mean, scale, shift);
  if (width == 2 * kLanes)
    return centre_panel<T, kLanes, 2>(panel, tile.channels, tile.eps, mean, scale, shift);
  if constexpr (kVectors == 3) {
    if (width == 3 * kLanes)
      return centre_panel<T, kLanes, 3>(panel, tile.channels, tile.eps, mean, scale, shift);
  }
  if constexpr (TOKENLEARNER_VECTOR_BYTES == 64)
    return centre_panel<T, kLanes / 2, 1>(panel, tile.channels, tile.eps, mean, scale, shift);
}
