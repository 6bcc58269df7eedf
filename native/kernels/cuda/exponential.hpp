// exp, and what is made of it: GELU's tanh form, the sigmoid, and the activations by their name.
#pragma once

#include "kernels/cuda/gelu.hpp"
#include "kernels/norm-mlp-params.hpp"

namespace tokenlearner::kernels::cuda {

/**
 * exp(value): 2^n 2^f with a whole n, since ex2 of a large number would lose the digits after its point. Below -87.7 it is 0,
 * above 88.3 infinity. NaN stays NaN.
 */
TOKENLEARNER_PORTABLE float exponential(float value) {
  // log2(e) in two parts.
  constexpr float kHigh = 1.44269502162933f, kLow = 1.92596299e-8f;
  const float x = fminf(fmaxf(value, -88.0f), 88.8f);
  const float n = rintf(x * kHigh);
  const float f = fmaf(x, kLow, fmaf(x, kHigh, -n));
  const float power = float_of(static_cast<std::uint32_t>(static_cast<int>(n) + 127) << 23);
  return value == value ? exp2_approximate(f) * power : value;
}

TOKENLEARNER_PORTABLE float sigmoid(float value) { return 1.0f / (1.0f + exponential(-value)); }

/** 0.5 x (1 + tanh(u)) = x / (1 + exp(-2u)) with u = sqrt(2/pi) (x + 0.044715 x^3). NaN for -infinity, as the definition. */
TOKENLEARNER_PORTABLE float gelu_tanh(float x) {
  constexpr float kTwice = 1.59576912160573f, kCubic = 0.0713548162726009f;
  const float twice_u = x * fmaf(x * x, kCubic, kTwice);
  return x / (1.0f + exponential(-twice_u));
}

TOKENLEARNER_PORTABLE float activated(Activation activation, float x) {
  if (activation == Activation::gelu_tanh) return gelu_tanh(x);
  return activation == Activation::gelu_erf ? gelu<GeluForm::accurate>(x) : x;
}

}  // namespace tokenlearner::kernels::cuda
