// exp(x), and the GELU that uses it. The file that includes this one has opened its own namespace.

/**
 * exp in each vector lane, with an error of about one unit in the last place; NaN for NaN. Below -87.7 it is 0, above
 * 88.4 infinity.
 */
template <int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<float, kLanes> exponential(Vector<float, kLanes> x) {
  using V = Vector<float, kLanes>;
  using Bits = Vector<std::int32_t, kLanes>;
  const V z = minimum(maximum(x, broadcast<float, kLanes>(-88.0f)), broadcast<float, kLanes>(88.8f));
  // At this size the unit in the last place is 1, so adding it rounds to an integer n, which is then in the low bits.
  constexpr float kRound = 0x1.8p23f;
  const V shifted = z * 1.44269504f + kRound;
  const V n = shifted - kRound;
  // x = n ln 2 + r, with ln 2 in two parts: n times the first is exact.
  const V r = (z - n * 0.693359375f) - n * -2.12194440e-4f;
  V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const V power = (V)(((Bits)shifted + 127) << 23);
  const V result = ((p * r) * r + r + 1.0f) * power;
  return x == x ? result : x;
}

/** float64 is less critical for time: it calls the C library's exp for each vector lane. */
template <int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<double, kLanes> exponential(Vector<double, kLanes> x) {
  Vector<double, kLanes> result;
  for (int i = 0; i < kLanes; ++i) result[i] = __builtin_exp(x[i]);
  return result;
}

/**
 * GELU's tanh form. 0.5 x (1 + tanh(u)) = x / (1 + exp(-2u)) with u = sqrt(2/pi) (x + 0.044715 x^3). Gives NaN for
 * -infinity, as the definition does.
 */
template <int kLanes, typename T>
TOKENLEARNER_ALWAYS_INLINE Vector<T, kLanes> gelu_tanh(Vector<T, kLanes> x) {
  constexpr T kTwice = T(1.59576912160573071);
  constexpr T kCubic = T(0.0713548162726009);
  const Vector<T, kLanes> twice_u = x * ((x * x) * kCubic + kTwice);
  return x / (T(1) + exponential<kLanes>(-twice_u));
}
