// A product of pairs by AVX512_BF16's instruction. The file that includes this one has opened its own namespace.

constexpr int kPairRows = kRows;
constexpr int kPairRun = 1;
/** Two products an instruction. */
constexpr int kPairSpeed = 2;

template <int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<float, kLanes> add_pair_product(Vector<Pair, kLanes> a,
                                                                  Vector<Pair, kLanes> b,
                                                                  Vector<float, kLanes> sum) {
  static_assert(kLanes == 8 || kLanes == 16);
  if constexpr (kLanes == 16) {
    return (Vector<float, 16>)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
  } else {
    return (Vector<float, 8>)_mm256_dpbf16_ps((__m256)sum, (__m256bh)a, (__m256bh)b);
  }
}
