// A[g,p] of one group. The including file has opened a namespace of its own.
//
// The micro-kernel holds kRows x kVectors accumulators. They start from the bias, take C steps of the outer product of
// a panel of W1 and a panel of pixels, and then GELU and the dot product with w2 are applied to the registers: the
// hidden layer is never stored. h is one chain of fused multiply-adds over the channels in order and A is the sum over
// row panels in order, whatever the panels' widths, so neither depends on where a pixel lies or who computes it.

/** Adds to sum[j] the rows' share of A: w2[r] * gelu(acc[r][j]), summed over the panel before it is added. */
template <typename T, int kLanes, int kWide>
TOKENLEARNER_ALWAYS_INLINE void activate(const Vector<T, kLanes> (&acc)[kRows][kWide], const T* w2, int rows, T* out) {
  using V = Vector<T, kLanes>;
  V sum[kWide] = {};
  if (rows == kRows) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) {
        const V term = gelu<kLanes>(acc[r][j]);
        sum[j] += term * w2[r];
      }
    }
  } else {
    // The padding rows of the last panel must not take part: 0 * infinity is NaN.
    V rest[kRows][kWide];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) rest[r][j] = acc[r][j];
    }
    for (int r = 0; r < rows; ++r) {
      for (int j = 0; j < kWide; ++j) {
        const V term = gelu<kLanes>(rest[r][j]);
        sum[j] += term * w2[r];
      }
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < kWide; ++j) store<T, kLanes>(out + j * kLanes, load<T, kLanes>(out + j * kLanes) + sum[j]);
}

/** One panel of W1 against one panel of pixels; adds its share of A to out[kWide * kLanes]. */
template <typename T, int kLanes, int kWide>
void micro_kernel(const T* w1, const T* b1, const T* w2, int rows, const T* x, std::int64_t channels, T* out) {
  using V = Vector<T, kLanes>;
  V acc[kRows][kWide];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kWide; ++j) acc[r][j] = broadcast<T, kLanes>(b1[r]);
  }
  for (std::int64_t c = 0; c < channels; ++c) {
    V pixels[kWide];
#pragma GCC unroll 4
    for (int j = 0; j < kWide; ++j) pixels[j] = load<T, kLanes>(x + j * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const V weight = broadcast<T, kLanes>(w1[r]);
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) acc[r][j] += weight * pixels[j];
    }
    x += kWide * kLanes;
    w1 += kRows;
  }
  activate<T, kLanes, kWide>(acc, w2, rows, out);
}

template <typename T>
TOKENLEARNER_ALWAYS_INLINE void run_micro_kernel(std::int64_t width, const T* w1, const T* b1, const T* w2, int rows,
                                                 const T* x, std::int64_t channels, T* out) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  if (width == kLanes) return micro_kernel<T, kLanes, 1>(w1, b1, w2, rows, x, channels, out);
  if (width == 2 * kLanes) return micro_kernel<T, kLanes, 2>(w1, b1, w2, rows, x, channels, out);
  if constexpr (kVectors == 3) {
    if (width == 3 * kLanes) return micro_kernel<T, kLanes, 3>(w1, b1, w2, rows, x, channels, out);
  }
  if constexpr (TOKENLEARNER_VECTOR_BYTES == 64) {
    return micro_kernel<T, kLanes / 2, 1>(w1, b1, w2, rows, x, channels, out);
  }
}

// Note: [Loop order]
// A panel of pixels that fits the level 1 cache stays there while the rows of W1 stream past it (pixels outermost).
// A larger one cannot: then a panel of W1 stays, and the block of pixels streams from the level 2 cache; W1, which may
// be tens of megabytes, then crosses from memory once for a whole block of pixels. `out` is indexed by lane, so it has
// room for the padding of the last panel.
template <typename T>
void attention(const AttentionTile& tile) {
  constexpr std::int64_t kWidest = kVectors * kLanesOf<T>;
  const T* w1 = static_cast<const T*>(tile.group.w1);
  const T* b1 = static_cast<const T*>(tile.group.b1);
  const T* w2 = static_cast<const T*>(tile.group.w2);
  T* out = static_cast<T*>(tile.out);
  const std::int64_t row_panels = (tile.hidden + kRows - 1) / kRows;
  const std::int64_t pixel_panels = (tile.pixels + kWidest - 1) / kWidest;
  const T b2 = *static_cast<const T*>(tile.group.b2);
  for (std::int64_t i = 0; i < pixel_panels * kWidest; ++i) out[i] = b2;

  const auto run = [&](std::int64_t row_panel, std::int64_t pixel_panel) {
    const std::int64_t row = row_panel * kRows;
    const std::int64_t pixel = pixel_panel * kWidest;
    const int rows = static_cast<int>(tile.hidden - row < kRows ? tile.hidden - row : kRows);
    run_micro_kernel<T>(panel_width<T>(tile.pixels - pixel), w1 + row * tile.channels, b1 + row, w2 + row, rows,
                        static_cast<const T*>(tile.x) + pixel * tile.channels, tile.channels, out + pixel);
  };
  if (tile.pixels_outermost) {
    for (std::int64_t j = 0; j < pixel_panels; ++j) {
      for (std::int64_t i = 0; i < row_panels; ++i) run(i, j);
    }
  } else {
    for (std::int64_t i = 0; i < row_panels; ++i) {
      for (std::int64_t j = 0; j < pixel_panels; ++j) run(i, j);
    }
  }
}

template <typename T>
void gelu_array(const void* in, void* out, std::int64_t count) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  const T* from = static_cast<const T*>(in);
  T* to = static_cast<T*>(out);
  for (std::int64_t i = 0; i < count; i += kLanes) {
    const auto result = gelu<kLanes>(load_some<T, kLanes>(from + i, count - i));
    for (int lane = 0; lane < kLanes && i + lane < count; ++lane) to[i + lane] = result[lane];
  }
}
