// A layer whose outputs are stored: the hidden layers but the last one, and the only layer of a network of one.
// The file that includes this one has opened its own namespace.
//
// The outputs have the layout of packed pixels (pixel-panels.hpp), with rows in place of channels. So they are
// the next layer's input as they are.

/** The epilogue that stores the sums, after GELU if kGelu. `out` is the first row in a panel of outputs. */
template <typename T, bool kGelu>
struct StoreRows {
  T* out;

  template <int kLanes, int kWide>
  TOKENLEARNER_ALWAYS_INLINE void take(const Tile<T, kLanes, kWide>& acc, int rows) const {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      if (r >= rows) break;
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) {
        store<T, kLanes>(out + (r * kWide + j) * kLanes, kGelu ? gelu<kLanes>(acc[r][j]) : acc[r][j]);
      }
    }
  }

  /** Unused vector lanes become zero, as in packed pixels. */
  template <int kCount, int kWidth>
  TOKENLEARNER_ALWAYS_INLINE void take_few(const Vector<T, kRows> (&acc)[kCount], int rows) const {
    Vector<T, kRows> values[kCount];
    for (int j = 0; j < kCount; ++j) values[j] = kGelu ? gelu<kRows>(acc[j]) : acc[j];
    for (int r = 0; r < rows; ++r) {
      for (int j = 0; j < kWidth; ++j) out[r * kWidth + j] = j < kCount ? values[j][r] : T{0};
    }
  }
};

template <typename In>
void layer(const LayerTile& tile) {
  using T = SumOf<In>;
  T* out = static_cast<T*>(tile.out);
  const std::int64_t pixels = tile.product.pixels;
  const std::int64_t rows = tile.product.rows;
  // The address of `row` in the panel that starts at `pixel`. All panels before it have the widest width.
  const auto at = [&](std::int64_t row, std::int64_t pixel) {
    return out + pixel * rows + row * panel_width<T>(pixels - pixel);
  };
  if (tile.gelu) {
    run_product<In>(tile.product,
                    [&](std::int64_t row, std::int64_t pixel) { return StoreRows<T, true>{at(row, pixel)}; });
  } else {
    run_product<In>(tile.product, [&](std::int64_t row, std::int64_t pixel) {
      return StoreRows<T, false>{at(row, pixel)};
    });
  }
}
