// TokenLearner v1.0 on CUDA, as native/engine sees it. This header needs no CUDA header; see token-learner-cuda.hpp for what holds for
// all its functions.
#pragma once

#include "kernels/cuda/norm-mlp-cuda.hpp"
#include "kernels/token-learner-v10-params.hpp"

namespace tokenlearner::kernels::cuda {

/** The packed parameters. The caller owns the buffer (device memory). */
struct CudaTokenLearnerV10 {
  /** LayerNorm, and the first convolution as 9 G rows. */
  CudaNormMlp first;
  std::int64_t tokens = 0;
  Activation activation = Activation::gelu_tanh;
  bool takes_mean = false;
  const float* convolutions[3] = {};
};

/** Bytes of the buffer for parameters of these sizes. */
std::size_t cuda_token_learner_v10_bytes(const TokenLearnerV10View& view, Precision precision);

/**
 * As cuda_pack_norm_mlp(). Here the first convolution's weight is (9, G, C): the rows of one tap after those of the last one, from
 * the top left to the bottom right.
 */
Status cuda_pack_token_learner_v10(const TokenLearnerV10View& view, Precision precision, void* buffer,
                                   std::size_t bytes, CudaTokenLearnerV10* packed, void* stream);

/** `shape.hidden` does not count. */
NormPlan plan_v10(const CudaShape& shape, Precision precision, const DeviceProperties& device);

/**
 * Asynchronous on `stream`. `params.attention` is float32; null if nobody wants the maps. `params.dtype` is that of the precision.
 * An image's bits depend neither on the batch nor on the plan.
 */
Status cuda_v10_forward(const ForwardParams& params, const CudaTokenLearnerV10& weights, const NormPlan& plan,
                        void* workspace, std::size_t workspace_bytes, void* stream);

}  // namespace tokenlearner::kernels::cuda
