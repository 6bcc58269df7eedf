// The TokenLearner layer as the kernels see it.
//
//   h[g,k,p] = sum_c W1[g*K+k, c] * x[c,p] + b1[g*K+k]
//   A[g,p]   = sum_k w2[g,k] * gelu(h[g,k,p]) + b2[g]        gelu is the exact erf form
//   y[c,g]   = (1/P) * sum_p x[c,p] * A[g,p]                 P = height * width
//
// All strides are in elements, not bytes. `batch` is the product of all leading dimensions.
#pragma once

#include <cstdint>

#include "kernels/dtype.hpp"

namespace tokenlearner::kernels {

/** One grouped 1x1 convolution: PyTorch's contiguous `net.{2*i}.weight` and `net.{2*i}.bias`. */
struct LayerView {
  const void* weight = nullptr;
  const void* bias = nullptr;
};

/**
 * The parameters: in host memory for the CPU, in device memory for CUDA. With L = num_layers, G = tokens and
 * K = hidden, L = 1 has one layer (G, C). L >= 2 has (G*K, C), then L-2 times (G*K, K), then (G, K). GELU
 * runs between the layers.
 */
struct WeightsView {
  std::int64_t channels = 0;  // C
  std::int64_t hidden = 0;    // K; ignored when num_layers is 1
  std::int64_t tokens = 0;    // G
  int num_layers = 0;         // L
  DType dtype = DType::float32;
  const LayerView* layers = nullptr;  // num_layers elements
};

/** One forward. The memory read and the memory written must not overlap. A batch of 0 writes nothing. */
struct ForwardParams {
  std::int64_t batch = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;

  /** The dtype of `x` and `tokens`. */
  DType dtype = DType::float32;

  const void* x = nullptr;
  std::int64_t x_batch_stride = 0;
  std::int64_t x_channel_stride = 0;
  std::int64_t x_row_stride = 0;
  std::int64_t x_pixel_stride = 0;

  /** y: (B, C, G), or (B, G, C). The strides decide. */
  void* tokens = nullptr;
  std::int64_t tokens_batch_stride = 0;
  std::int64_t tokens_channel_stride = 0;
  std::int64_t tokens_token_stride = 0;

  /** A: (B, G, P) in compute_dtype(dtype), always written. The pixels are contiguous. */
  void* attention = nullptr;
  std::int64_t attention_batch_stride = 0;
  std::int64_t attention_token_stride = 0;
};

}  // namespace tokenlearner::kernels
