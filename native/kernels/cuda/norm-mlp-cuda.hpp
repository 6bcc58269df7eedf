// The parameters of norm-mlp-params.hpp for the CUDA kernels, as native/engine sees them. This header needs no CUDA header; see
// token-learner-cuda.hpp for what holds for all its functions.
#pragma once

#include "kernels/cuda/token-learner-cuda.hpp"
#include "kernels/norm-mlp-params.hpp"

namespace tokenlearner::kernels::cuda {

/** The packed parameters. The caller owns the buffer (device memory). */
struct CudaNormMlp {
  Precision precision = Precision::float32;
  std::int64_t channels = 0;
  std::int64_t hidden = 0;
  std::int64_t tokens = 0;
  Activation activation = Activation::gelu_tanh;
  float eps = 0.0f;
  const void* row_blocks = nullptr;  // W0
  const float* norm_weight = nullptr;
  const float* norm_bias = nullptr;
  const float* first_bias = nullptr;
  const float* second_weight = nullptr;
  const float* second_bias = nullptr;
};

/** Bytes of the buffer for parameters of these sizes. */
std::size_t cuda_norm_mlp_bytes(const NormMlpView& view, Precision precision);

/**
 * Asynchronous on `stream`. The parameters are in device memory. `buffer` is aligned to 1024 bytes and must live as long as
 * `packed` is used. Grouped products, and sizes beyond the kernels' 32-bit arithmetic, are `unsupported`.
 */
Status cuda_pack_norm_mlp(const NormMlpView& view, Precision precision, void* buffer, std::size_t bytes,
                          CudaNormMlp* packed, void* stream);

/** How an image, or a tile of its pixels, is computed. Only plan_ functions make it, on the host. */
struct NormPlan {
  /** True if the pixels of a tile stay in shared memory. The bits do not depend on it. */
  bool resident = true;
  /** The images that are computed at a time. It limits the workspace. */
  std::int64_t images_per_pass = 0;
  /** Aligned to 1024 bytes. Any later work on the same stream may reuse it. */
  std::size_t workspace_bytes = 0;
};

/** True if an image has several tiles of 32 pixels in one share: see token-learner-v11-body.hpp. */
bool has_tiles_in_shares(std::int64_t pixels);

/** `shape` is a forward's. Devices with more shared memory keep more channels in it. */
NormPlan plan_v11(const CudaShape& shape, Precision precision, const DeviceProperties& device);

/**
 * TokenLearner v1.1 (token-learner-v11-params.hpp), variant 'd'. Asynchronous on `stream`. `params.attention` is float32; null if
 * nobody wants the maps. `params.dtype` is that of the precision. An image's bits depend neither on the batch nor on the plan.
 */
Status cuda_v11_forward(const ForwardParams& params, const CudaNormMlp& weights, const NormPlan& plan,
                        void* workspace, std::size_t workspace_bytes, void* stream);

}  // namespace tokenlearner::kernels::cuda
