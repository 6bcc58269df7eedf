// TokenFuser as the kernels see it. t is (C, G) for an image, o its original (C, P).
//
//   T[h,c] = LN2(sum_g M[h,g] * LN1(t)[c,g] + m[h])      LayerNorm over the channels of a token; both may be absent
//   Q[g,p] = sigmoid(L[g,p])                             L of o, as in norm-mlp-params.hpp
//   y[c,p] = sum_g Q[g,p] * T[g,c]
#pragma once

#include "kernels/norm-mlp-params.hpp"

namespace tokenlearner::kernels {

/** The parameters, contiguous and of one dtype: in host memory for the CPU, in device memory for CUDA. */
struct TokenFuserView {
  NormMlpView mlp;
  /** (G, G), output first; and (G). */
  const void* mix_weight = nullptr;
  const void* mix_bias = nullptr;
  /** (C) each. All are null without normalization. */
  const void* norm1_weight = nullptr;
  const void* norm1_bias = nullptr;
  const void* norm2_weight = nullptr;
  const void* norm2_bias = nullptr;
};

/** One forward. The memory read and the memory written must not overlap. All strides are in elements. */
struct TokenFuserParams {
  std::int64_t batch = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  /** The dtype of the original, the tokens and the output. */
  DType dtype = DType::float32;

  const void* x = nullptr;
  std::int64_t x_batch_stride = 0;
  std::int64_t x_channel_stride = 0;
  std::int64_t x_row_stride = 0;
  std::int64_t x_pixel_stride = 0;

  const void* tokens = nullptr;
  std::int64_t tokens_batch_stride = 0;
  std::int64_t tokens_channel_stride = 0;
  std::int64_t tokens_token_stride = 0;

  /** (B, P, C) if true, else (B, C, P); contiguous. */
  bool out_channels_last = false;
  void* out = nullptr;

  /** Q: (B, G, P) in compute_dtype(dtype), contiguous. Null if nobody wants it. */
  void* attention = nullptr;
};

}  // namespace tokenlearner::kernels
