// TokenFuser on CUDA, as native/engine sees it. This header needs no CUDA header; see token-learner-cuda.hpp for what holds for all
// its functions.
#pragma once

#include "kernels/cuda/norm-mlp-cuda.hpp"
#include "kernels/token-fuser-params.hpp"

namespace tokenlearner::kernels::cuda {

/** The packed parameters. The caller owns the buffer (device memory). */
struct CudaTokenFuser {
  CudaNormMlp mlp;
  const float* mix_weight = nullptr;
  const float* mix_bias = nullptr;
  /** Null without normalization. */
  const float* norm1_weight = nullptr;
  const float* norm1_bias = nullptr;
  const float* norm2_weight = nullptr;
  const float* norm2_bias = nullptr;
};

/** Bytes of the buffer for parameters of these sizes. */
std::size_t cuda_token_fuser_bytes(const TokenFuserView& view, Precision precision);

/** As cuda_pack_norm_mlp(). */
Status cuda_pack_token_fuser(const TokenFuserView& view, Precision precision, void* buffer, std::size_t bytes,
                             CudaTokenFuser* packed, void* stream);

NormPlan plan_token_fuser(const CudaShape& shape, Precision precision, const DeviceProperties& device);

/**
 * Asynchronous on `stream`. `params.attention` is float32; null if nobody wants the weights. `params.dtype` is that of the
 * precision. An image's bits depend neither on the batch, nor on the plan, nor on the order of the output.
 */
Status cuda_token_fuser_forward(const TokenFuserParams& params, const CudaTokenFuser& weights,
                                const NormPlan& plan, void* workspace, std::size_t workspace_bytes,
                                void* stream);

}  // namespace tokenlearner::kernels::cuda
