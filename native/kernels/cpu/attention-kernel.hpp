// A[g,p] of one group. The file that includes this one has opened its own namespace.
//
// The micro-kernel holds kRows x kVectors accumulators. They start from the bias and take C steps of the
// outer product of a panel of W1 and a panel of pixels. Then GELU and the dot product with w2 run on the
// registers. The hidden layer is never stored.

// The ladder of optimisations. Zen 4, one of two cores at 3.7 GHz, g++ 12, float32, medians of interleaved
// runs:
//   0. reference.cpp: the mathematics as written, in double.
//   1. Panels and registers as above, AVX2 4 x 3: 82 to 101 GFLOP/s of 117. doc-1 (C 64, 1024 pixels) takes
//      1.63 ms, doc-2 (C 128, 8192 pixels) 188 ms, 512 channels x 486 pixels 40.8 ms.
//   2. AVX-512 8 x 3: 1.55, 175 and 38.4 ms. Without GELU doc-1 takes 1.21 ms, 99 % of the core's peak. The
//      rest is GELU's own arithmetic: about 15 instructions per vector on the multipliers.
//   3. Sums over vector lanes by shuffles; unused scratch is not cleared (token-kernel.hpp). The tokens of
//      256 images of 128 x 64 go from 1.81 to 0.94 ms, of 45 ms in total.
//   4. Blocks of 64 channels and a compensated A: a third to a quarter of the error at C = 768. The time does
//      not change measurably (45.0 to 44.5 ms at C = 128; 38.4 to 39.0 ms at C = 512).
//   5. Prefetch of the next panel of W1 while this one is used: 4 to 5 % less time at C = 1024, where W1 has
//      134 MB; 2 to 4 % at C = 768; 1 to 2 % at C = 512; none below (two threads, interleaved).
//   6. For the last one to four pixels the vector lanes hold hidden rows instead of pixels: 100 pixels of 256
//      channels take 2 to 3 % less time.
//   7. GELU by table on AVX-512: 4 % less time at C = 64, 2 % at C = 128 and 256, 1 % at C = 512, and half
//      the error of Phi (one thread).
//   8. NEON 8 x 3 instead of 4 x 2, with `fmla` by lane, g++ 12: 32 instructions for 24 multiply-adds instead
//      of 17 for 8, and no spill. llvm-mca's model of the Apple M1 gives 8.0 cycles for 24 instead of 10.5. No
//      time on arm64 hardware is known.
// Compared with libtorch's bare product (MKL at its best tiling) in the same run: 1.01 times its time at
// C = 64, 0.95 to 1.03 at C = 128, 0.6 to 0.9 from C = 256 to 1024.
//
// Tried without gain:
//   - Keeping a block's packed pixels for the next groups.
//   - Joining a small remainder of pixels to the previous block.
//   - Blocks in the inner loop over groups.
//   - A reciprocal estimate with one Newton step instead of the division: 1.6 ms against 1.52. The divider
//     runs in parallel with the multipliers.
// Saving partial accumulators, so that a third of C stays in the level 1 cache, is not needed: panels that
// stream from the level 2 cache reach 90 to 95 % of peak at C = 512 to 1024.

// Note: [Order of sums]
// h is a sum over blocks of kBlock channels, in order. Each block is one chain of (fused) multiply-adds. A is
// a compensated sum over row panels, in order. Both orders are the same for every panel width. So neither h
// nor A depends on where a pixel lies or which thread computes it.
//
// The blocks are for accuracy. A rounding error grows with the square root of a chain's length: one chain
// over 768 channels has 2.5 times the error of the product that PyTorch calls (root mean square of A: 8e-7
// against 3e-7). Blocks of 64 bring it to 2e-7 at every C.
constexpr std::int64_t kBlock = 64;

template <typename T, int kLanes, int kWide>
using Tile = Vector<T, kLanes>[kRows][kWide];

/**
 * acc += one outer product per channel. Advances x and w1. The next panel of W1 lies `next_panel` elements
 * ahead. It is prefetched here, because it comes from memory and the hardware's own prefetching stops at page
 * boundaries.
 */
template <typename T, int kLanes, int kWide>
TOKENLEARNER_ALWAYS_INLINE void multiply(Tile<T, kLanes, kWide>& acc, const T*& w1, const T*& x,
                                         std::int64_t channels, std::int64_t next_panel) {
  using V = Vector<T, kLanes>;
  for (std::int64_t c = 0; c < channels; ++c) {
    __builtin_prefetch(w1 + next_panel);
    V pixels[kWide];
#pragma GCC unroll 4
    for (int j = 0; j < kWide; ++j) pixels[j] = load<T, kLanes>(x + j * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const V weight = broadcast_element<T, kLanes>(w1, r);
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) acc[r][j] += weight * pixels[j];
    }
    x += kWide * kLanes;
    w1 += kRows;
  }
}

/** sum += term. Adds the rounding error to `lost`. */
template <typename T, int kLanes>
TOKENLEARNER_ALWAYS_INLINE void add_compensated(T* sum, T* lost, Vector<T, kLanes> term) {
  using V = Vector<T, kLanes>;
  const V before = load<T, kLanes>(sum);
  const V after = before + term;
  const V added = after - before;
  store<T, kLanes>(sum, after);
  store<T, kLanes>(lost, load<T, kLanes>(lost) + ((before - (after - added)) + (term - added)));
}

/** Adds this panel's rows to A: the sum of w2[r] * gelu(acc[r][j]) over the panel. */
template <typename T, int kLanes, int kWide>
TOKENLEARNER_ALWAYS_INLINE void activate(const Tile<T, kLanes, kWide>& acc, const T* w2, int rows, T* sum,
                                         T* lost) {
  using V = Vector<T, kLanes>;
  V share[kWide] = {};
  if (rows == kRows) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) share[j] += gelu<kLanes>(acc[r][j]) * w2[r];
    }
  } else {
    // The padding rows of the last panel must be left out: 0 * infinity is NaN. The loop below indexes by a
    // variable, so it reads a copy in memory: then the accumulators themselves stay in registers.
    Tile<T, kLanes, kWide> rest;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) rest[r][j] = acc[r][j];
    }
    for (int r = 0; r < rows; ++r) {
      for (int j = 0; j < kWide; ++j) share[j] += gelu<kLanes>(rest[r][j]) * w2[r];
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < kWide; ++j) add_compensated<T, kLanes>(sum + j * kLanes, lost + j * kLanes, share[j]);
}

/** One panel of W1, with `rows` valid rows, and one panel of pixels. */
template <typename T>
struct PanelPair {
  const T* w1;
  const T* b1;
  const T* w2;
  int rows;
  const T* x;
  std::int64_t channels;
  /** A, one value per vector lane, and its rounding error. */
  T* sum;
  T* lost;
};

template <typename T, int kLanes, int kWide>
void micro_kernel(const PanelPair<T>& pair) {
  using V = Vector<T, kLanes>;
  const T* w1 = pair.w1;
  const T* x = pair.x;
  const std::int64_t next_panel = pair.channels * kRows;
  Tile<T, kLanes, kWide> acc;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kWide; ++j) acc[r][j] = broadcast<T, kLanes>(pair.b1[r]);
  }
  multiply<T, kLanes, kWide>(acc, w1, x, pair.channels < kBlock ? pair.channels : kBlock, next_panel);
  if (pair.channels > kBlock) {
    Tile<T, kLanes, kWide> total;
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) total[r][j] = acc[r][j];
    }
    for (std::int64_t left = pair.channels - kBlock; left > 0; left -= kBlock) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (int j = 0; j < kWide; ++j) acc[r][j] = V{};
      }
      multiply<T, kLanes, kWide>(acc, w1, x, left < kBlock ? left : kBlock, next_panel);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (int j = 0; j < kWide; ++j) total[r][j] += acc[r][j];
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) acc[r][j] = total[r][j];
    }
  }
  activate<T, kLanes, kWide>(acc, pair.w2, pair.rows, pair.sum, pair.lost);
}

/** acc += one outer product per channel, with hidden rows in the vector lanes. Advances x and w1. */
template <typename T, int kCount, int kWidth>
TOKENLEARNER_ALWAYS_INLINE void multiply_few(Vector<T, kRows> (&acc)[kCount], const T*& w1, const T*& x,
                                             std::int64_t channels, std::int64_t next_panel) {
  for (std::int64_t c = 0; c < channels; ++c) {
    __builtin_prefetch(w1 + next_panel);
    const auto weights = load<T, kRows>(w1);
#pragma GCC unroll 8
    for (int j = 0; j < kCount; ++j) acc[j] += weights * broadcast<T, kRows>(x[j]);
    x += kWidth;
    w1 += kRows;
  }
}

/**
 * The same for the last few pixels, in a panel of kWidth vector lanes. The lanes hold hidden rows instead of
 * pixels, so that none is idle. Each sum has the same terms in the same order as in micro_kernel.
 */
template <typename T, int kCount, int kWidth>
void few_pixels_kernel(const PanelPair<T>& pair) {
  using V = Vector<T, kRows>;
  const T* w1 = pair.w1;
  const T* x = pair.x;
  const std::int64_t next_panel = pair.channels * kRows;
  V acc[kCount];
  V total[kCount];
  for (int j = 0; j < kCount; ++j) acc[j] = load<T, kRows>(pair.b1);
  multiply_few<T, kCount, kWidth>(acc, w1, x, pair.channels < kBlock ? pair.channels : kBlock, next_panel);
  for (int j = 0; j < kCount; ++j) total[j] = acc[j];
  for (std::int64_t left = pair.channels - kBlock; left > 0; left -= kBlock) {
    for (int j = 0; j < kCount; ++j) acc[j] = V{};
    multiply_few<T, kCount, kWidth>(acc, w1, x, left < kBlock ? left : kBlock, next_panel);
    for (int j = 0; j < kCount; ++j) total[j] += acc[j];
  }
  Vector<T, kWidth> share{};
  for (int j = 0; j < kCount; ++j) {
    const V activated = gelu<kRows>(total[j]);
    T sum = 0;
    for (int r = 0; r < pair.rows; ++r) sum = multiply_add<T>(activated[r], pair.w2[r], sum);
    share[j] = sum;
  }
  add_compensated<T, kWidth>(pair.sum, pair.lost, share);
}

/** Up to this number of pixels, few_pixels_kernel takes less time than micro_kernel on a panel. */
constexpr std::int64_t kFewPixels = kRows / 2;

template <typename T, int kWidth>
TOKENLEARNER_ALWAYS_INLINE void run_few_pixels(std::int64_t count, const PanelPair<T>& pair) {
  if (count == 1) return few_pixels_kernel<T, 1, kWidth>(pair);
  if (count == 2) return few_pixels_kernel<T, 2, kWidth>(pair);
  if constexpr (kFewPixels > 2) {
    if (count == 3) return few_pixels_kernel<T, 3, kWidth>(pair);
    if (count == 4) return few_pixels_kernel<T, 4, kWidth>(pair);
  }
}

/** Computes the panel that starts where `remaining` pixels are left. */
template <typename T>
TOKENLEARNER_ALWAYS_INLINE void run_micro_kernel(std::int64_t remaining, const PanelPair<T>& pair) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  // The same as panel_width() returns for so few pixels.
  constexpr int kNarrowest = TOKENLEARNER_VECTOR_BYTES == 64 ? kLanes / 2 : kLanes;
  if constexpr (kRows * sizeof(T) <= TOKENLEARNER_VECTOR_BYTES) {
    static_assert(kFewPixels <= 4 && kFewPixels <= kNarrowest);
    if (remaining <= kFewPixels) return run_few_pixels<T, kNarrowest>(remaining, pair);
  }
  const std::int64_t width = panel_width<T>(remaining);
  if (width == kLanes) return micro_kernel<T, kLanes, 1>(pair);
  if (width == 2 * kLanes) return micro_kernel<T, kLanes, 2>(pair);
  if constexpr (kVectors == 3) {
    if (width == 3 * kLanes) return micro_kernel<T, kLanes, 3>(pair);
  }
  if constexpr (TOKENLEARNER_VECTOR_BYTES == 64) return micro_kernel<T, kLanes / 2, 1>(pair);
}

// Note: [Loop order]
// If a panel of pixels fits in the level 1 cache, it stays there while the rows of W1 stream past it (pixels
// outermost). If it does not fit, a panel of W1 stays there instead and the block of pixels streams from the
// level 2 cache. Then W1, which may have tens of megabytes, is read from memory once per block of pixels.
template <typename T>
void attention(const AttentionTile& tile) {
  constexpr std::int64_t kWidest = kVectors * kLanesOf<T>;
  const T* w1 = static_cast<const T*>(tile.group.w1);
  const T* b1 = static_cast<const T*>(tile.group.b1);
  const T* w2 = static_cast<const T*>(tile.group.w2);
  const T b2 = *static_cast<const T*>(tile.group.b2);
  const std::int64_t row_panels = (tile.hidden + kRows - 1) / kRows;
  const std::int64_t pixel_panels = (tile.pixels + kWidest - 1) / kWidest;
  const std::int64_t lanes = pixel_panels * kWidest;
  T* sum = static_cast<T*>(tile.out);
  T* lost = sum + lanes;
  for (std::int64_t i = 0; i < lanes; ++i) sum[i] = b2, lost[i] = 0;

  const auto run = [&](std::int64_t row_panel, std::int64_t pixel_panel) {
    const std::int64_t row = row_panel * kRows;
    const std::int64_t pixel = pixel_panel * kWidest;
    run_micro_kernel<T>(tile.pixels - pixel,
                        {
                            .w1 = w1 + row * tile.channels,
                            .b1 = b1 + row,
                            .w2 = w2 + row,
                            .rows = static_cast<int>(tile.hidden - row < kRows ? tile.hidden - row : kRows),
                            .x = static_cast<const T*>(tile.x) + pixel * tile.channels,
                            .channels = tile.channels,
                            .sum = sum + pixel,
                            .lost = lost + pixel,
                        });
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
  // For an infinite sum `lost` is infinity - infinity, which is NaN. Do not add it.
  for (std::int64_t i = 0; i < tile.pixels; ++i) sum[i] += lost[i] == lost[i] ? lost[i] : T{0};
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
