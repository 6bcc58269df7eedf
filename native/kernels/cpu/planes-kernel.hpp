// The 3x3 convolutions of TokenLearner v1.0 on padded planes. The file that includes this one has opened its own namespace.

// Note: [Padded planes]
// A plane is an image of one number a pixel with a border of zeros: (H + 2) rows of W + 2. So no kernel treats the edges apart.
// Loads of a row's last vector read on into the next row, and past the last plane; what they read there is dropped.
//
// The first convolution is a product for each pixel with nine times G outputs, one for each tap, which the product kernel computes
// while the pixel is in the cache. Each output then is the sum of the nine taps, of the nine pixels around it.

/** LayerNorm's scale and offset on a panel of products, [row][width], and each row to its plane. */
template <typename T>
void write_taps(const TapsTile& tile) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  using V = Vector<T, kLanes>;
  const T* const row_sum = static_cast<const T*>(tile.row_sum);
  const T* const bias = static_cast<const T*>(tile.bias);
  const std::int64_t row_stride = tile.width + 2;
  for (std::int64_t done = 0, count = 0; done < tile.pixels; done += count) {
    const std::int64_t y = (tile.first + done) / tile.width, x = (tile.first + done) % tile.width;
    // To the end of the vector, the image's row, or the panel.
    count = tile.width - x < kLanes ? tile.width - x : kLanes;
    if (tile.pixels - done < count) count = tile.pixels - done;
    const V scale = load_some<T, kLanes>(static_cast<const T*>(tile.scale) + done, count);
    const V shift = load_some<T, kLanes>(static_cast<const T*>(tile.shift) + done, count);
    const T* from = static_cast<const T*>(tile.products) + done;
    T* to = static_cast<T*>(tile.planes) + (y + 1) * row_stride + x + 1;
    for (std::int64_t r = 0; r < tile.rows; ++r, from += tile.panel_width, to += tile.plane) {
      const V sums = load_some<T, kLanes>(from, count);
      const V offset = broadcast<T, kLanes>(row_sum[r]) * shift + broadcast<T, kLanes>(bias[r]);
      store_some<T, kLanes>(to, sums * scale + offset, count);
    }
  }
}

template <typename T, Activation kActivation>
void sum_taps_of(const PlanesTile& tile) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  using V = Vector<T, kLanes>;
  const std::int64_t row_stride = tile.width + 2;
  for (std::int64_t g = 0; g < tile.tokens; ++g) {
    for (std::int64_t y = tile.first_row; y < tile.first_row + tile.row_count; ++y) {
      for (std::int64_t x = 0; x < tile.width; x += kLanes) {
        V sum{};
        for (std::int64_t tap = 0; tap < 9; ++tap) {
          const T* const plane = static_cast<const T*>(tile.in) + (tap * tile.tokens + g) * tile.plane;
          sum += load<T, kLanes>(plane + (y + tap / 3) * row_stride + x + tap % 3);
        }
        T* const to = static_cast<T*>(tile.out) + g * tile.plane + (y + 1) * row_stride + x + 1;
        store_some<T, kLanes>(to, activated<kActivation, kLanes, T>(sum), tile.width - x);
      }
    }
  }
}

/** Rows of the first hidden planes: the sums of their nine taps, and the activation. */
template <typename T>
void sum_taps(const PlanesTile& tile) {
  switch (tile.activation) {
    case Activation::none:
      return sum_taps_of<T, Activation::none>(tile);
    case Activation::gelu_tanh:
      return sum_taps_of<T, Activation::gelu_tanh>(tile);
    case Activation::gelu_erf:
      return sum_taps_of<T, Activation::gelu_erf>(tile);
  }
}

/** Output planes that are computed side by side. */
constexpr int kPlaneRows = 4;
/** Input planes in a chain of multiply-adds: see Note [Order of sums]. */
constexpr std::int64_t kPlaneBlock = 7;

/** One vector of pixels of kPlaneRows output planes. */
template <typename T, int kLanes>
TOKENLEARNER_ALWAYS_INLINE void convolve_pixels(const PlanesTile& tile, const T* weights, std::int64_t y,
                                                std::int64_t x, Vector<T, kLanes> (&total)[kPlaneRows]) {
  using V = Vector<T, kLanes>;
  const std::int64_t row_stride = tile.width + 2;
  const T* const in = static_cast<const T*>(tile.in) + y * row_stride + x;
  for (std::int64_t first = 0; first < tile.tokens; first += kPlaneBlock) {
    const std::int64_t end = first + kPlaneBlock < tile.tokens ? first + kPlaneBlock : tile.tokens;
    V sums[kPlaneRows] = {};
    for (std::int64_t i = first; i < end; ++i) {
#pragma GCC unroll 9
      for (int tap = 0; tap < 9; ++tap, weights += kPlaneRows) {
        const V pixels = load<T, kLanes>(in + i * tile.plane + tap / 3 * row_stride + tap % 3);
#pragma GCC unroll 4
        for (int r = 0; r < kPlaneRows; ++r) sums[r] += pixels * broadcast<T, kLanes>(weights[r]);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kPlaneRows; ++r) total[r] += sums[r];
  }
}

/** Rows of the next planes, or of A if `finish` makes that of a vector of sums. */
template <typename T, typename Finish>
TOKENLEARNER_ALWAYS_INLINE void convolve_rows(const PlanesTile& tile, const Finish& finish) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  for (std::int64_t g = 0; g < tile.tokens; g += kPlaneRows) {
    const T* const weights = static_cast<const T*>(tile.weights) + g * tile.tokens * 9;
    for (std::int64_t y = tile.first_row; y < tile.first_row + tile.row_count; ++y) {
      for (std::int64_t x = 0; x < tile.width; x += kLanes) {
        Vector<T, kLanes> total[kPlaneRows] = {};
        convolve_pixels<T, kLanes>(tile, weights, y, x, total);
        for (int r = 0; r < kPlaneRows && g + r < tile.tokens; ++r) finish(total[r], g + r, y, x);
      }
    }
  }
}

template <typename T, Activation kActivation>
void convolve_of(const PlanesTile& tile) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  const std::int64_t row_stride = tile.width + 2;
  convolve_rows<T>(tile, [&](Vector<T, kLanes> sum, std::int64_t g, std::int64_t y, std::int64_t x) {
    T* const to = static_cast<T*>(tile.out) + g * tile.plane + (y + 1) * row_stride + x + 1;
    store_some<T, kLanes>(to, activated<kActivation, kLanes, T>(sum), tile.width - x);
  });
}

/** Rows of the next planes: a 3x3 convolution and the activation. */
template <typename T>
void convolve(const PlanesTile& tile) {
  switch (tile.activation) {
    case Activation::none:
      return convolve_of<T, Activation::none>(tile);
    case Activation::gelu_tanh:
      return convolve_of<T, Activation::gelu_tanh>(tile);
    case Activation::gelu_erf:
      return convolve_of<T, Activation::gelu_erf>(tile);
  }
}

/** Rows of A, which has no border: a 3x3 convolution and the sigmoid. */
template <typename T>
void convolve_to_maps(const PlanesTile& tile) {
  constexpr int kLanes = static_cast<int>(kLanesOf<T>);
  convolve_rows<T>(tile, [&](Vector<T, kLanes> sum, std::int64_t g, std::int64_t y, std::int64_t x) {
    T* const to = static_cast<T*>(tile.out) + g * tile.out_plane + y * tile.width + x;
    store_some<T, kLanes>(to, T(1) / (T(1) + exponential<kLanes>(-sum)), tile.width - x);
  });
}
