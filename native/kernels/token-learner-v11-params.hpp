// TokenLearner v1.1 as the kernels see it.
//
//   L[g,p] as in norm-mlp-params.hpp
//   A[g,p] = exp(L[g,p]) / sum_q exp(L[g,q])             softmax over the pixels of an image
//   y[c,g] = sum_p A[g,p] * x[c,p]                       x itself, not the normalised one
//
// The two earliest versions pool a grouped 1x1 convolution of x. It has no bias, so y is that convolution of the
// sum above: y'[c,g] = sum_i V[c,i] * y[k * C / groups + i, g] for c in block k.
#pragma once

#include "kernels/norm-mlp-params.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels {

struct TokenLearnerV11View {
  NormMlpView mlp;
  /** V, (C, C / mlp.groups), or null. */
  const void* value_weight = nullptr;
};

// One forward is a ForwardParams. `attention` may be null: then no maps are written.

}  // namespace tokenlearner::kernels
