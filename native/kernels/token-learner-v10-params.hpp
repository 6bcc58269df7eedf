// TokenLearner v1.0 as the kernels see it.
//
//   S = conv3(act(conv2(act(conv1(act(conv0(n)))))))      n = LayerNorm(x) over the channels of each pixel
//   A = sigmoid(S)
//   y[c,g] = sum_p A[g,p] * x[c,p], divided by P for the mean
//
// The convolutions are 3x3 with zero padding 1 and no bias: C to G channels, then three times G to G.
#pragma once

#include "kernels/norm-mlp-params.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels {

/** The parameters, contiguous and of one dtype: in host memory for the CPU, in device memory for CUDA. */
struct TokenLearnerV10View {
  std::int64_t channels = 0;  // C
  std::int64_t tokens = 0;    // G
  DType dtype = DType::float32;
  /** Between the convolutions. */
  Activation activation = Activation::gelu_tanh;
  double eps = 1e-6;
  bool takes_mean = false;
  const void* norm_weight = nullptr;  // (C)
  const void* norm_bias = nullptr;    // (C)
  /** (G, C, 3, 3), then three times (G, G, 3, 3). */
  const void* convolutions[4] = {};
};

// One forward is a ForwardParams. `attention` may be null: then no maps are written.

}  // namespace tokenlearner::kernels
