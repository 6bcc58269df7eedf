// The fused TokenLearner layer on CUDA, as the engine sees it. No CUDA header is needed to include this.
//
// Nothing here throws, prints, synchronises or allocates device memory. Pointers are device memory of the
// current device, `stream` is a cudaStream_t. A launch's failure is Status::device_error; last_device_error()
// says which.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/status.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels::cuda {

/** How the first product is computed. Sums are float32 in every mode. */
enum class Precision : std::int8_t {
  /** Three tf32 products of split operands, partial sums added in float32: as accurate as a float32 product.
   */
  float32,
  tf32,
  bfloat16,
  float16,
};

enum class Variant : std::int8_t {
  /** CUDA cores, exact float32 operands: float32 with few channels. */
  simt,
  /** Maps and tokens in one launch, mma.sync: one image that occupies the GPU only briefly. */
  small,
  /** mma.sync with cp.async: sm_80 and later. */
  mma,
  /** wgmma with bulk copies and a producer warp: sm_90 only. */
  wgmma,
};

const char* name_of(Precision precision);
const char* name_of(Variant variant);

struct DeviceProperties {
  int compute_major = 0;
  int compute_minor = 0;
  int multiprocessors = 0;
  std::size_t shared_memory_per_block = 0;  // bytes, opt-in maximum
};

struct CudaShape {
  std::int64_t batch = 0;
  std::int64_t channels = 0;
  std::int64_t hidden = 0;
  std::int64_t tokens = 0;
  std::int64_t pixels = 0;
};

/** What one forward will do. Decided on the host, by plan_forward alone. */
struct Plan {
  Precision precision = Precision::float32;
  Variant variant = Variant::mma;
  /** Hidden rows to a step of the outer loop. */
  int hidden_tile = 128;
  /** Thread blocks that share one group's hidden rows. */
  int splits = 1;
  /** Images packed and computed at a time: bounds the workspace. */
  std::int64_t images_per_pass = 0;
  std::size_t workspace_bytes = 0;
};

/** W1, b1, w2, b2 packed for one precision and variant, in one buffer of device memory that the caller owns.
 */
struct CudaPackedWeights {
  Precision precision = Precision::float32;
  Variant variant = Variant::mma;
  std::int64_t channels = 0;
  std::int64_t hidden = 0;
  std::int64_t tokens = 0;
  /** See Note [Tile images] in tiling.hpp; for simt, W1 as it is, in float32. */
  const void* weight = nullptr;
  /** For each pair of hidden rows: b1, b1, w2, w2. Each group padded with zeros. */
  const float* bias_and_scale = nullptr;
  const float* token_bias = nullptr;  // b2
};

/**
 * The rule. It never looks at the batch, so that an image has the same bits whatever batch it is in:
 * - float32 with C <= 16: simt (a chunk of 32 channels would be mostly padding);
 * - the first product of one image at most 0.25 GFLOP, P >= 96 and the image's tile fits shared memory:
 * small;
 * - compute capability 9.0: wgmma;
 * - otherwise: mma.
 */
Variant choose_variant(const CudaShape& shape, Precision precision, const DeviceProperties& device);

/** The precision that serves a dtype; float64 is not served. */
Status choose_precision(DType dtype, bool allow_tf32, Precision* precision);

Plan plan_forward(const CudaShape& shape, Precision precision, Variant variant,
                  const DeviceProperties& device);

std::size_t packed_weights_bytes(const CudaShape& shape, Precision precision, Variant variant);

/**
 * `weights` is in device memory, contiguous, num_layers 2. `buffer` is aligned to 1024 bytes and must live as
 * long as `packed` is used. Asynchronous on `stream`.
 */
Status cuda_pack_weights(const WeightsView& weights, Precision precision, Variant variant, void* buffer,
                         std::size_t bytes, CudaPackedWeights* packed, void* stream);

/**
 * Asynchronous on `stream`. `workspace` (plan.workspace_bytes, aligned to 1024 bytes) may be reused by later
 * work on the same stream. `params.attention` is float32 and always written. float32, float16 or bfloat16;
 * others are unsupported. A pixel with an infinite or NaN channel has maps of NaN or infinity, not always the
 * one that the formula gives: products with zero padding and with low parts turn infinity into NaN.
 */
Status cuda_fused_forward(const ForwardParams& params, const CudaPackedWeights& weights, const Plan& plan,
                          void* workspace, std::size_t workspace_bytes, void* stream);

/** For a first product computed elsewhere: A[g,p] = b2[g] + sum_k w2[g,k] gelu(H[g*K+k, p] + b1[g*K+k]). */
struct EpilogueParams {
  const void* hidden = nullptr;  // H: rows of `groups` whole groups, contiguous along its columns
  DType dtype = DType::float32;
  std::int64_t row_stride = 0;
  std::int64_t columns = 0;
  std::int64_t groups = 0;
  std::int64_t hidden_per_group = 0;
  /** Of the first of these groups; dtype `weights_dtype`. */
  const void* bias = nullptr;
  const void* scale = nullptr;       // w2
  const void* token_bias = nullptr;  // b2
  DType weights_dtype = DType::float32;
  Precision precision = Precision::float32;  // which GELU form
  float* attention = nullptr;
  std::int64_t attention_group_stride = 0;
};
Status cuda_epilogue(const EpilogueParams& params, void* stream);

/** y from x and params.attention. `workspace` as token_product_workspace_bytes says. */
std::size_t token_product_workspace_bytes(const CudaShape& shape);
Status cuda_token_product(const ForwardParams& params, std::int64_t channels, std::int64_t tokens,
                          void* workspace, std::size_t workspace_bytes, void* stream);

}  // namespace tokenlearner::kernels::cuda
