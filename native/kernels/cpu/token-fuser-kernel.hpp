// TokenFuser's tokens, and their sum for each pixel. The file that includes this one has opened its own namespace.

/** The sum of f(i) for all i. Four vectors are summed side by side. `f` takes an index, and a number of lanes. */
template <typename F>
TOKENLEARNER_ALWAYS_INLINE double sum_of(std::int64_t count, const F& f) {
  constexpr int kLanes = static_cast<int>(kLanesOf<double>);
  Vector<double, kLanes> sums[4] = {};
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sums[k] += f(i + k * kLanes);
  }
  for (; i + kLanes <= count; i += kLanes) sums[0] += f(i);
  return sum_lanes<double, kLanes>((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

/** LayerNorm of one row, in place. */
inline void normalise_row(double* row, std::int64_t channels, double eps, const double* weight,
                          const double* bias) {
  constexpr int kLanes = static_cast<int>(kLanesOf<double>);
  using V = Vector<double, kLanes>;
  const std::int64_t whole = channels / kLanes * kLanes;
  const auto count = static_cast<double>(channels);
  double mean = sum_of(channels, [&](std::int64_t i) { return load<double, kLanes>(row + i); });
  for (std::int64_t c = whole; c < channels; ++c) mean += row[c];
  mean /= count;
  const V means = broadcast<double, kLanes>(mean);
  double variance = sum_of(channels, [&](std::int64_t i) {
    const V centred = load<double, kLanes>(row + i) - means;
    return centred * centred;
  });
  for (std::int64_t c = whole; c < channels; ++c) variance += (row[c] - mean) * (row[c] - mean);
  const double scale = 1 / __builtin_sqrt(variance / count + eps);
  for (std::int64_t c = 0; c < channels; ++c) row[c] = (row[c] - mean) * scale * weight[c] + bias[c];
}

/** T of one image. In double: it is little work, and LayerNorm of few channels loses digits. */
template <typename Stored, typename T>
void mix_tokens(const MixTile& tile) {
  double* const normed = tile.scratch;
  double* const mixed = normed + tile.tokens * tile.stride;
  for (std::int64_t g = 0; g < tile.tokens; ++g) {
    const Stored* const from = static_cast<const Stored*>(tile.source) + g * tile.token_stride;
    double* const row = normed + g * tile.stride;
    for (std::int64_t c = 0; c < tile.channels; ++c)
      row[c] = static_cast<double>(widen(from[c * tile.channel_stride]));
    if (tile.norm1_weight != nullptr)
      normalise_row(row, tile.channels, tile.eps, tile.norm1_weight, tile.norm1_bias);
  }
  for (std::int64_t h = 0; h < tile.tokens; ++h) {
    for (std::int64_t c = 0; c < tile.channels; ++c) mixed[c] = tile.bias[h];
    for (std::int64_t g = 0; g < tile.tokens; ++g) {
      const double weight = tile.weight[h * tile.tokens + g];
      const double* const row = normed + g * tile.stride;
      for (std::int64_t c = 0; c < tile.channels; ++c) mixed[c] += weight * row[c];
    }
    if (tile.norm2_weight != nullptr)
      normalise_row(mixed, tile.channels, tile.eps, tile.norm2_weight, tile.norm2_bias);
    T* const out = static_cast<T*>(tile.out) + h * tile.stride;
    for (std::int64_t c = 0; c < tile.channels; ++c) out[c] = static_cast<T>(mixed[c]);
  }
}

/** Q = sigmoid(L), in place; `count` is a multiple of a vector. */
template <typename T>
void sigmoid(void* logits, std::int64_t count) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  T* const values = static_cast<T*>(logits);
  for (std::int64_t i = 0; i < count; i += kLanes)
    store<T, kLanes>(values + i, T(1) / (T(1) + exponential<kLanes>(-load<T, kLanes>(values + i))));
}

/** Rows of a tile of spread(), and its vectors: they stay in registers while the tokens are summed. */
constexpr int kSpreadRows = 4;
constexpr int kSpreadVectors = TOKENLEARNER_VECTOR_BYTES == 64 ? 4 : 2;

/** Stores the first `count` vector lanes as Stored. */
template <typename Stored, typename T, int kLanes>
TOKENLEARNER_ALWAYS_INLINE void store_as(Stored* to, Vector<T, kLanes> value, std::int64_t count) {
  if constexpr (std::is_same_v<Stored, T>) return store_some<T, kLanes>(to, value, count);
  for (int lane = 0; lane < kLanes && lane < count; ++lane) to[lane] = narrow<Stored>(value[lane]);
}

template <typename Stored, typename T, int kCount, int kWide>
TOKENLEARNER_ALWAYS_INLINE void spread_tile(const SpreadTile& tile, std::int64_t row, std::int64_t column) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  using V = Vector<T, kLanes>;
  const T* rows = static_cast<const T*>(tile.rows) + row;
  const T* columns = static_cast<const T*>(tile.columns) + column;
  const std::int64_t left = tile.column_count - column;
  V acc[kCount][kWide] = {};
  for (std::int64_t g = 0; g < tile.tokens; ++g, rows += tile.rows_stride, columns += tile.columns_stride) {
    V values[kWide];
#pragma GCC unroll 4
    for (int j = 0; j < kWide; ++j) {
      const bool is_whole = kWide > 1 || left >= kLanes;
      values[j] = is_whole ? load<T, kLanes>(columns + j * kLanes) : load_some<T, kLanes>(columns, left);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kCount; ++r) {
      const V factor = broadcast<T, kLanes>(rows[r]);
#pragma GCC unroll 4
      for (int j = 0; j < kWide; ++j) acc[r][j] += values[j] * factor;
    }
  }
  Stored* const out = static_cast<Stored*>(tile.out) + row * tile.out_stride + column;
#pragma GCC unroll 4
  for (int r = 0; r < kCount; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kWide; ++j)
      store_as<Stored, T, kLanes>(out + r * tile.out_stride + j * kLanes, acc[r][j], left - j * kLanes);
  }
}

template <typename Stored, typename T, int kCount>
void spread_rows(const SpreadTile& tile, std::int64_t row) {
  constexpr std::int64_t kLanes = kLanesOf<T>;
  std::int64_t column = 0;
  for (; column + kSpreadVectors * kLanes <= tile.column_count; column += kSpreadVectors * kLanes)
    spread_tile<Stored, T, kCount, kSpreadVectors>(tile, row, column);
  for (; column < tile.column_count; column += kLanes) spread_tile<Stored, T, kCount, 1>(tile, row, column);
}

/** out[i * out_stride + j] = sum over g of rows[g][i] * columns[g][j]. */
template <typename Stored, typename T>
void spread(const SpreadTile& tile) {
  std::int64_t row = 0;
  for (; row + kSpreadRows <= tile.row_count; row += kSpreadRows)
    spread_rows<Stored, T, kSpreadRows>(tile, row);
  for (; row < tile.row_count; ++row) spread_rows<Stored, T, 1>(tile, row);
}
