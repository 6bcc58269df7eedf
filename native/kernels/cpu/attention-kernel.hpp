// A[g,p] of one group. The file that includes this one has opened its own namespace.
//
// GELU and the dot product with w2 run on the registers of product-kernel.hpp. With two layers no hidden
// layer is ever stored. With more layers the others are: hidden-kernel.hpp.

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
//   9. Blocks of inputs without AVX-512: Note [Blocks of a product]. With AVX2 on an Intel core (48 KB and 2 MB of caches), one
//      thread: 5 % less time at C = 512, 3 to 5 % at C = 768, 5 to 6 % at C = 1024; the same from C = 48 to 320. There it
//      reaches 95 to 100 % of what bench-fused calls attainable from C = 48 to 192, 93 to 96 % at C = 320, 87 to 90 % beyond.
//  10. Several panels of weights at once for the last few pixels: Note [Few pixels]. One image of 7 x 7 with C = 768 takes 15 %
//      less time with AVX2 (with 9.) and 1 to 2 % less with AVX-512; TokenLearner v1.1 on six of 9 x 9 with C = 512, 2 to 4 %.
// Compared with libtorch's bare product (MKL at its best tiling) in the same run: 1.01 times its time at
// C = 64, 0.95 to 1.03 at C = 128, 0.6 to 0.9 from C = 256 to 1024.
//
// Tried without gain:
//   - Keeping a block's packed pixels for the next groups.
//   - Joining a small remainder of pixels to the previous block.
//   - Blocks in the inner loop over groups.
//   - A reciprocal estimate with one Newton step instead of the division: 1.6 ms against 1.52. The divider
//     runs in parallel with the multipliers.
//   - With AVX2 on that Intel core: a tile of 6 x 2 (0 to 10 % more time, but 3 % less at C = 48); three panels of weights for
//     the last vector of pixels (no change); one prefetch for four inputs, by unrolling (5 % more: g++ 12 does not keep the sums
//     in registers), by an inner loop (3 %), or all at once before a chain (0 to 3 %); prefetching of pixels (6 % more at C =
//     96); prefetching of weights into the level 2 cache, or further ahead (0 to 4 % more).
//   - Blocks of inputs with AVX-512: 2 to 4 % more time from C = 512 on.

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

/** The epilogue that adds to A. The pointers are those of a panel. */
template <typename T>
struct AddToMap {
  const T* w2;
  /** A, one value per vector lane, and its rounding error. */
  T* sum;
  T* lost;

  template <int kLanes, int kWide>
  TOKENLEARNER_ALWAYS_INLINE void take(const Tile<T, kLanes, kWide>& acc, int rows) const {
    activate<T, kLanes, kWide>(acc, w2, rows, sum, lost);
  }

  template <int kCount, int kWidth>
  TOKENLEARNER_ALWAYS_INLINE void take_few(const Vector<T, kRows> (&acc)[kCount], int rows) const {
    Vector<T, kWidth> share{};
    for (int j = 0; j < kCount; ++j) {
      const Vector<T, kRows> activated = gelu<kRows>(acc[j]);
      T total = 0;
      for (int r = 0; r < rows; ++r) total = multiply_add<T>(activated[r], w2[r], total);
      share[j] = total;
    }
    add_compensated<T, kWidth>(sum, lost, share);
  }
};

template <typename In>
void attention(const AttentionTile& tile) {
  using T = SumOf<In>;
  constexpr std::int64_t kWidest = kVectors * kLanesOf<T>;
  const T* w2 = static_cast<const T*>(tile.last.weight);
  const T b2 = *static_cast<const T*>(tile.last.bias);
  const std::int64_t pixels = tile.product.pixels;
  const std::int64_t lanes = (pixels + kWidest - 1) / kWidest * kWidest;
  T* sum = static_cast<T*>(tile.out);
  T* lost = sum + lanes;
  for (std::int64_t i = 0; i < lanes; ++i) sum[i] = b2, lost[i] = 0;
  run_product<In>(tile.product, [&](std::int64_t row, std::int64_t pixel) {
    return AddToMap<T>{w2 + row, sum + pixel, lost + pixel};
  });
  // For an infinite sum `lost` is infinity - infinity, which is NaN. Do not add it.
  for (std::int64_t i = 0; i < pixels; ++i) sum[i] += lost[i] == lost[i] ? lost[i] : T{0};
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
