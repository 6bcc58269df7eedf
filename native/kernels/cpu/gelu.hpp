// gelu(x) = x * Phi(x), the exact erf form. The file that includes this one has opened its own namespace.

// Note: [GELU]
// Phi(x) = 1/2 + x P(x^2) / Q(x^2) on [-kClamp, kClamp], and constant beyond. scripts/derive-gelu.py derives
// the coefficients and states the error: at most 1.8e-7 in Phi, 2.4e-8 on average (PyTorch's vectorised gelu:
// 3.6e-7, 2.5e-8). The end values are exactly 0 and 1, so gelu(-1e30) is -0 and gelu(1e30) is 1e30. As in the
// definition, the last product gives NaN for NaN and for -infinity * 0, and keeps +infinity. Q is monic,
// which saves a multiplication. There is no exp: the cost is nine fused multiply-adds and one division.
struct GeluFloat {
  static constexpr float kClamp = 5.4000001f;
  static constexpr float kP[6] = {327917.844f, 27430.918f,  3822.85522f,
                                  135.06723f,  5.22774076f, 0.019223189f};
  static constexpr float kQ[5] = {821968.125f, 205753.391f, 23326.3809f, 1528.02588f, 59.5106697f};
};

#if defined(__AVX512F__)
// Note: [GELU by table]
// One AVX-512 instruction selects one of 16 floats for each vector lane, and it does not occupy the
// multipliers. So Phi(|x|) - 1/2 is a polynomial of degree 5 on each interval of width 1/2 around 0, 1/2, ...
// 5. From 5.25 on it is 1/2. The cost is five multiply-adds and no division. The error of Phi is at most
// 7.6e-8, 2.0e-8 on average.
struct GeluTable {
  /** Any number in an interval where the polynomial is the constant 1/2. */
  static constexpr float kClamp = 5.5f;
  /** At this size the unit in the last place is 1/2, so adding it rounds to the interval's number. */
  static constexpr float kRound = 0x1.8p22f;
  /** [power, ascending][interval]. */
  alignas(64) static constexpr float kCoefficients[6][16] = {
      {0.0f, 0.191462442f, 0.341344744f, 0.43319279f, 0.477249891f, 0.493790329f, 0.498650104f, 0.499767363f,
       0.49996832f, 0.499996603f, 0.499999702f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f},
      {0.398942262f, 0.352065325f, 0.241970748f, 0.129517615f, 0.0539909638f, 0.0175282937f, 0.00443184609f,
       0.000872683246f, 0.000133830908f, 1.59840019e-05f, 1.4867785e-06f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f},
      {1.21447329e-06f, -0.0880096555f, -0.120980956f, -0.0971396044f, -0.0539939068f, -0.0219115093f,
       -0.00664753839f, -0.0015268001f, -0.000267478288f, -3.59139121e-05f, -3.70775251e-06f, 0.0f, 0.0f,
       0.0f, 0.0f, 0.0f},
      {-0.0665112212f, -0.0440070555f, -2.59353351e-06f, 0.0269809347f, 0.0269958731f, 0.0153381545f,
       0.00590942195f, 0.00163620908f, 0.000334488606f, 5.12479055e-05f, 5.93934601e-06f, 0.0f, 0.0f, 0.0f,
       0.0f, 0.0f},
      {0.000148478022f, 0.0198848397f, 0.0199760068f, 0.00613160944f, -0.00437349174f, -0.00588573515f,
       -0.00333397673f, -0.00119407126f, -0.000297729042f, -5.38027089e-05f, -7.19797708e-06f, 0.0f, 0.0f,
       0.0f, 0.0f, 0.0f},
      {0.00956759416f, 0.00454859808f, -0.00394959655f, -0.00580798555f, -0.00226218859f, 0.000637861842f,
       0.00109867437f, 0.000580894819f, 0.000184570483f, 3.98982666e-05f, 6.16222906e-06f, 0.0f, 0.0f, 0.0f,
       0.0f, 0.0f},
  };
};

TOKENLEARNER_ALWAYS_INLINE __m512 phi_by_table(__m512 x) {
  constexpr int kSmallerMagnitudePositive = 0b1010;
  constexpr int kDistanceToHalves = 1 << 4;
  const __m512 a =
      _mm512_maskz_range_ps(kAllLanes, x, _mm512_set1_ps(GeluTable::kClamp), kSmallerMagnitudePositive);
  const __m512i interval = _mm512_castps_si512(_mm512_add_ps(a, _mm512_set1_ps(GeluTable::kRound)));
  const __m512 r = _mm512_maskz_reduce_ps(kAllLanes, a, kDistanceToHalves);
  const auto coefficient = [&](int power) __attribute__((always_inline)) {
    return _mm512_maskz_permutexvar_ps(kAllLanes, interval, _mm512_load_ps(GeluTable::kCoefficients[power]));
  };
  __m512 half_phi = coefficient(5);
#pragma GCC unroll 5
  for (int power = 4; power >= 0; --power) half_phi = _mm512_fmadd_ps(half_phi, r, coefficient(power));
  // Copy the sign of x.
  constexpr int kSelect = 0xd8;
  const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80000000u));
  half_phi = _mm512_castsi512_ps(
      _mm512_ternarylogic_epi32(_mm512_castps_si512(half_phi), _mm512_castps_si512(x), sign, kSelect));
  return _mm512_add_ps(_mm512_set1_ps(0.5f), half_phi);
}
#endif

template <int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<float, kLanes> gelu(Vector<float, kLanes> x) {
  using V = Vector<float, kLanes>;
#if defined(__AVX512F__)
  if constexpr (kLanes == 16) return x * (V)phi_by_table((__m512)x);
  if constexpr (kLanes == 8) {
    const auto twice = __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
    const auto phi = (Vector<float, 16>)phi_by_table((__m512)twice);
    return x * __builtin_shufflevector(phi, phi, 0, 1, 2, 3, 4, 5, 6, 7);
  }
#endif
  const V limit = broadcast<float, kLanes>(GeluFloat::kClamp);
  const V z = maximum(minimum(x, limit), -limit);
  const V t = z * z;
  V p = t * GeluFloat::kP[5] + GeluFloat::kP[4];
  V q = t + GeluFloat::kQ[4];
#pragma GCC unroll 4
  for (int i = 3; i >= 0; --i) {
    p = p * t + GeluFloat::kP[i];
    q = q * t + GeluFloat::kQ[i];
  }
  return x * maximum(0.5f + z * p / q, V{});
}

/** float64 is less critical for time: it calls the C library's erf for each vector lane. */
template <int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<double, kLanes> gelu(Vector<double, kLanes> x) {
  Vector<double, kLanes> result;
  for (int i = 0; i < kLanes; ++i) {
    const double value = x[i];
    result[i] = value * 0.5 * (1.0 + __builtin_erf(value * 0.70710678118654752440));
  }
  return result;
}
