// gelu(x) = x * Phi(x), the exact erf form. The including file has opened a namespace of its own.

// Note: [GELU]
// Phi(x) = 1/2 + x P(x^2) / Q(x^2) on [-kClamp, kClamp], constant beyond. scripts/derive-gelu.py derives the
// coefficients and states the error: at most 1.8e-7 in Phi, 2.4e-8 on average (PyTorch's vectorised
// gelu: 3.6e-7, 2.5e-8). The end values are exactly 0 and 1, so that gelu(-1e30) is -0 and gelu(1e30) is
// 1e30; the last product makes NaN of NaN and of -infinity * 0, and leaves +infinity, as the definition does.
// Q is monic, which saves a multiplication. No exp: nine fused multiply-adds and one division.
struct GeluFloat {
  static constexpr float kClamp = 5.4000001f;
  static constexpr float kP[6] = {327917.844f, 27430.918f,  3822.85522f,
                                  135.06723f,  5.22774076f, 0.019223189f};
  static constexpr float kQ[5] = {821968.125f, 205753.391f, 23326.3809f, 1528.02588f, 59.5106697f};
};

template <int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<float, kLanes> gelu(Vector<float, kLanes> x) {
  using V = Vector<float, kLanes>;
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

/** float64 has no such tight bar on time: the C library's erf, lane by lane. */
template <int kLanes>
TOKENLEARNER_ALWAYS_INLINE Vector<double, kLanes> gelu(Vector<double, kLanes> x) {
  Vector<double, kLanes> result;
  for (int i = 0; i < kLanes; ++i) {
    const double value = x[i];
    result[i] = value * 0.5 * (1.0 + __builtin_erf(value * 0.70710678118654752440));
  }
  return result;
}
