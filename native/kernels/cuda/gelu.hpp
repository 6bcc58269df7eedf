// GELU in the erf form, without a division, a branch or a cancellation.
//
//   gelu(h) = h Phi(h) = max(h, 0) - |h| Phi(-|h|)          Phi: the normal distribution function
//
// log2 Phi(-a) is nearly a parabola. So a short polynomial and one exp2 give Phi(-a) with a small relative
// error, even far from 0, where erf forms suffer from cancellation. The polynomials are minimax fits of the
// absolute error of gelu on [0, clamp]. Beyond the clamp the omitted term is smaller than the fit's own
// error.
//
//   form       for        degree   largest error   relative L2 error over N(0,1)
//   accurate   float32    8        1.0e-7          4e-8 (PyTorch's own: 4e-8)
//   fine       tf32       6        1.2e-7          8e-8
//   medium     float16    4        6.7e-6          7e-6
//   coarse     bfloat16   3        5.7e-5          6e-5
//
// "Largest error" is |error| / max(1, |gelu|) over the whole float32 range, with an exact exp2. The GPU's
// ex2.approx is accurate to 2 units in the last place. That adds at most 2e-8, since |h| Phi(-|h|) is below
// 0.171. The cost per element is one FMA per degree, 3 more instructions, and one MUFU, which has its own
// pipeline.
//
// A packed half2 polynomial was considered for the 16-bit modes. With both conversions it takes 8.5
// instructions per element, more than the coarse form's 6, and it is less accurate.
//
// NaN gives NaN and +inf gives +inf. -inf gives the limit, 0, while PyTorch's formula gives NaN.
#pragma once

#include <cmath>

#include "kernels/cuda/portable.hpp"

namespace tokenlearner::kernels::cuda {

enum class GeluForm { accurate, fine, medium, coarse };

TOKENLEARNER_PORTABLE float exp2_approximate(float value) {
#if defined(__CUDA_ARCH__)
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(value));
  return result;
#else
  return std::exp2(value);
#endif
}

/** max(value, 0). NaN stays NaN. */
TOKENLEARNER_PORTABLE float rectify(float value) {
#if defined(__CUDA_ARCH__)
  float result;
  asm("max.NaN.f32 %0, %1, 0f00000000;" : "=f"(result) : "f"(value));
  return result;
#else
  return value < 0.0f ? 0.0f : value;
#endif
}

/** min(|value|, limit). NaN gives `limit`. */
TOKENLEARNER_PORTABLE float clamped_magnitude(float value, float limit) { return fminf(fabsf(value), limit); }

/** log2 Phi(-a), by Horner's method. */
template <GeluForm kForm>
TOKENLEARNER_PORTABLE float log2_tail(float a) {
  if constexpr (kForm == GeluForm::accurate) {
    float p = fmaf(-9.874588613e-07f, a, 1.643997348e-05f);
    p = fmaf(p, a, -7.304740575e-05f);
    p = fmaf(p, a, -4.215238732e-04f);
    p = fmaf(p, a, 7.452955004e-03f);
    p = fmaf(p, a, -5.278204009e-02f);
    p = fmaf(p, a, -4.591054916e-01f);
    p = fmaf(p, a, -1.151119471e+00f);
    return fmaf(p, a, -9.999997020e-01f);
  } else if constexpr (kForm == GeluForm::fine) {
    float p = fmaf(3.279924931e-05f, a, -7.645863807e-04f);
    p = fmaf(p, a, 8.058302104e-03f);
    p = fmaf(p, a, -5.336480588e-02f);
    p = fmaf(p, a, -4.588179588e-01f);
    p = fmaf(p, a, -1.151180983e+00f);
    return fmaf(p, a, -9.999961257e-01f);
  } else if constexpr (kForm == GeluForm::medium) {
    float p = fmaf(3.917297348e-03f, a, -4.437698051e-02f);
    p = fmaf(p, a, -4.674340487e-01f);
    p = fmaf(p, a, -1.147810698e+00f);
    return fmaf(p, a, -1.000375390e+00f);
  } else {
    float p = fmaf(-2.504342422e-02f, a, -4.981678128e-01f);
    p = fmaf(p, a, -1.130028367e+00f);
    return fmaf(p, a, -1.003267884e+00f);
  }
}

template <GeluForm kForm>
TOKENLEARNER_PORTABLE float gelu(float h) {
  constexpr float kClamp = kForm == GeluForm::coarse ? 4.5f : kForm == GeluForm::medium ? 5.5f : 6.0f;
  const float a = clamped_magnitude(h, kClamp);
  return fmaf(-a, exp2_approximate(log2_tail<kForm>(a)), rectify(h));
}

}  // namespace tokenlearner::kernels::cuda
