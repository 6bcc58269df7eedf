// The softmax over pixels of TokenLearner v1.1, one block of pixels after the other. The file that includes this one has opened
// its own namespace.

// Note: [Online softmax]
// A share of an image keeps, for each token, the largest L so far, the sum of exp(L - largest), and the sum of x
// with those weights. A block with a larger L first scales the old sums down. The shares are merged at the end in
// the same way. Their bounds depend only on the image's size, so neither threads nor the batch change a bit.

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
    for (std::int64_t i = 0; i < kPooledPixels<T>; ++i) scales[g * kPooledPixels<T> + i] = scale;
    largest = next;
  }
  for (std::int64_t i = tile.tokens * kPooledPixels<T>; i < pooled_stride<T>(tile.tokens); ++i) scales[i] = 0;
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
