// L[g,p] of one panel of pixels: the epilogue of the first product applies LayerNorm's scale, the bias and the
// activation, and takes the second product, all on the registers of product-kernel.hpp. No hidden layer is stored.
// The file that includes this one has opened its own namespace.

template <Activation kActivation, int kLanes, typename T>
TOKENLEARNER_ALWAYS_INLINE Vector<T, kLanes> activated(Vector<T, kLanes> x) {
  if constexpr (kActivation == Activation::gelu_tanh) return gelu_tanh<kLanes, T>(x);
  if constexpr (kActivation == Activation::gelu_erf) return gelu<kLanes>(x);
  return x;
}

/**
 * Adds a panel of hidden rows to L. Padding rows have zeros for all weights, and 0 is what every activation makes of 0.
 */
template <typename T, Activation kActivation>
struct AddToLogits {
  /** Of these hidden rows: b0, and the sum of a row of W0. */
  const T* bias;
  const T* row_sum;
  /** [G][kRows]. */
  const T* second;
  std::int64_t tokens;
  /** Of these pixels. See Note [Mean before product]. */
  const T* scale;
  const T* shift;
  T* logits;
  std::int64_t logits_stride;

  template <int kLanes, int kWide>
  TOKENLEARNER_ALWAYS_INLINE void take(const Tile<T, kLanes, kWide>& acc, int) const {
    using V = Vector<T, kLanes>;
    Tile<T, kLanes, kWide> hidden;
#pragma GCC unroll 4
    for (int j = 0; j < kWide; ++j) {
      const V scales = load<T, kLanes>(scale + j * kLanes);
      const V shifts = load<T, kLanes>(shift + j * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const V offset = broadcast<T, kLanes>(row_sum[r]) * shifts + broadcast<T, kLanes>(bias[r]);
        hidden[r][j] = activated<kActivation, kLanes, T>(acc[r][j] * scales + offset);
      }
    }
    for (std::int64_t g = 0; g < tokens; ++g) {
      V share[kWide] = {};
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const V factor = broadcast_element<T, kLanes>(second + g * kRows, r);
#pragma GCC unroll 4
        for (int j = 0; j < kWide; ++j) share[j] += hidden[r][j] * factor;
      }
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) {
        T* const at = logits + g * logits_stride + j * kLanes;
        store<T, kLanes>(at, load<T, kLanes>(at) + share[j]);
      }
    }
  }

  template <int kCount, int kWidth>
  TOKENLEARNER_ALWAYS_INLINE void take_few(const Vector<T, kRows> (&acc)[kCount], int) const {
    using V = Vector<T, kRows>;
    for (int j = 0; j < kCount; ++j) {
      const V offset = load<T, kRows>(row_sum) * broadcast<T, kRows>(shift[j]) + load<T, kRows>(bias);
      const V hidden = activated<kActivation, kRows, T>(acc[j] * broadcast<T, kRows>(scale[j]) + offset);
      for (std::int64_t g = 0; g < tokens; ++g) {
        T share = 0;
        for (int r = 0; r < kRows; ++r) share = multiply_add<T>(hidden[r], second[g * kRows + r], share);
        logits[g * logits_stride + j] += share;
      }
    }
  }
};

template <typename T, Activation kActivation>
void logits_of(const LogitsTile& tile) {
  const NormMlpLayout& mlp = *tile.mlp;
  const std::int64_t width = panel_width<T>(tile.pixels);
  T* const logits = static_cast<T*>(tile.logits);
  const T* const second_bias = static_cast<const T*>(mlp.second_bias);
  for (std::int64_t g = 0; g < mlp.tokens; ++g) {
    for (std::int64_t i = 0; i < width; ++i) logits[g * tile.logits_stride + i] = second_bias[g];
  }
  const std::int64_t channels = mlp.channels / mlp.groups;
  const std::int64_t rows = mlp.hidden / mlp.groups;
  for (std::int64_t k = 0; k < mlp.groups; ++k) {
    // Rows of a group start in a panel of their own.
    const std::int64_t first = k * mlp.padded_rows;
    const ProductTile product{
        .x = static_cast<const T*>(tile.panel) + k * channels * width,
        .pixels = tile.pixels,
        .inputs = channels,
        .rows = rows,
        .layer = {static_cast<const T*>(mlp.first_weight) + first * channels, mlp.zeros},
        // One panel of pixels, and few rows: blocks of inputs would not pay.
        .blocks = {rows, channels},
        .sums = logits,
        .ahead = {tile.ahead.first + k * channels * tile.ahead.stride, tile.ahead.stride, tile.ahead.lines}};
    run_product<T>(product, [&](std::int64_t row, std::int64_t) {
      return AddToLogits<T, kActivation>{
          .bias = static_cast<const T*>(mlp.first_bias) + first + row,
          .row_sum = static_cast<const T*>(mlp.row_sum) + first + row,
          .second = static_cast<const T*>(mlp.second_weight) + (first + row) * mlp.tokens,
          .tokens = mlp.tokens,
          .scale = static_cast<const T*>(tile.scale),
          .shift = static_cast<const T*>(tile.shift),
          .logits = logits,
          .logits_stride = tile.logits_stride,
      };
    });
  }
}

/** Precondition: tile.pixels is at most a panel. */
template <typename T>
void logits(const LogitsTile& tile) {
  switch (tile.mlp->activation) {
    case Activation::none:
      return logits_of<T, Activation::none>(tile);
    case Activation::gelu_tanh:
      return logits_of<T, Activation::gelu_tanh>(tile);
    case Activation::gelu_erf:
      return logits_of<T, Activation::gelu_erf>(tile);
  }
}
