// The instructions of pair-product.hpp and tile-operations.hpp in plain C++, with the same rounding. The file that includes this
// one has opened its own namespace.

/** Subnormal numbers become zero of their sign. */
TOKENLEARNER_ALWAYS_INLINE float flushed(float value) {
  const bool subnormal = __builtin_fabsf(value) < 0x1p-126f;
  return subnormal ? __builtin_copysignf(0.0f, value) : value;
}

TOKENLEARNER_ALWAYS_INLINE float first_of(Pair pair) {
  return flushed(__builtin_bit_cast(float, pair << 16));
}
TOKENLEARNER_ALWAYS_INLINE float second_of(Pair pair) {
  return flushed(__builtin_bit_cast(float, pair & 0xffff0000u));
}

/** sum + a * b, rounded once. */
TOKENLEARNER_ALWAYS_INLINE float add_flushed(float a, float b, float sum) {
  return flushed(__builtin_fmaf(a, b, flushed(sum)));
}

#if defined(TOKENLEARNER_TILES)
constexpr int kPairRows = 32;
constexpr int kPairRun = 16;
constexpr int kPairSpeed = 4;

class Tiles {
 public:
  template <int kTile>
  void zero() {
    for (Row& row : tiles_[kTile]) std::fill_n(row.bits, 16, Pair{0});
  }

  template <int kTile>
  void load(const Pair* from, std::int64_t stride) {
    for (int m = 0; m < 16; ++m) std::memcpy(tiles_[kTile][m].bits, from + m * stride, 64);
  }

  template <int kTile>
  void store(float* to, std::int64_t stride) {
    for (int m = 0; m < 16; ++m) std::memcpy(to + m * stride, tiles_[kTile][m].bits, 64);
  }

  template <int kSum, int kA, int kB>
  void add_products() {
    for (int m = 0; m < 16; ++m) {
      for (int n = 0; n < 16; ++n) {
        float first = 0, second = 0;
        for (int k = 0; k < 16; ++k) {
          const Pair a = tiles_[kA][m].bits[k], b = tiles_[kB][k].bits[n];
          first = add_flushed(first_of(a), first_of(b), first);
          second = add_flushed(second_of(a), second_of(b), second);
        }
        Pair& sum = tiles_[kSum][m].bits[n];
        const float share = flushed(first + second);
        sum = __builtin_bit_cast(Pair, flushed(flushed(__builtin_bit_cast(float, sum)) + share));
      }
    }
  }

 private:
  struct Row {
    Pair bits[16];
  };
  Row tiles_[8][16];
};
#else
constexpr int kPairRows = kRows;
constexpr int kPairRun = 1;
constexpr int kPairSpeed = 2;

template <int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<float, kLanes> add_pair_product(Vector<Pair, kLanes> a,
                                                                  Vector<Pair, kLanes> b,
                                                                  Vector<float, kLanes> sum) {
  for (int i = 0; i < kLanes; ++i) {
    const float half = add_flushed(second_of(a[i]), second_of(b[i]), sum[i]);
    sum[i] = add_flushed(first_of(a[i]), first_of(b[i]), half);
  }
  return sum;
}
#endif
