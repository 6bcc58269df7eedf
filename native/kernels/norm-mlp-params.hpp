// LayerNorm and a small perceptron on each pixel: the part that TokenLearner v1.1 and TokenFuser share.
//
//   n[c,p] = (x[c,p] - mean_p) / sqrt(var_p + eps) * scale[c] + shift[c]     over the channels of a pixel
//   h[d,p] = activation(sum_c W0[d,c] * n[c,p] + b0[d])
//   L[g,p] = sum_d W1[g,d] * h[d,p] + b1[g]
//
// With `groups` above 1 the first product is grouped, as a 1x1 convolution: block k of the hidden rows reads
// block k of the channels.
#pragma once

#include <cstdint>

#include "kernels/dtype.hpp"

namespace tokenlearner::kernels {

/** What follows the first product. The two GELUs are PyTorch's `approximate` values 'tanh' and 'none'. */
enum class Activation { none, gelu_tanh, gelu_erf };

/** The parameters, contiguous and of one dtype: in host memory for the CPU, in device memory for CUDA. A null bias is zero. */
struct NormMlpView {
  std::int64_t channels = 0;  // C
  std::int64_t hidden = 0;    // D
  std::int64_t tokens = 0;    // G
  std::int64_t groups = 1;    // divides C and D
  DType dtype = DType::float32;
  Activation activation = Activation::gelu_tanh;
  double eps = 1e-6;
  const void* norm_weight = nullptr;    // (C)
  const void* norm_bias = nullptr;      // (C)
  const void* first_weight = nullptr;   // (D, C / groups)
  const void* first_bias = nullptr;     // (D)
  const void* second_weight = nullptr;  // (G, D); null for the first product alone
  const void* second_bias = nullptr;    // (G)
};

}  // namespace tokenlearner::kernels
