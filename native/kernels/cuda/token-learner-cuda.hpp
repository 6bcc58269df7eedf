// The fused TokenLearner on CUDA, as native/engine sees it. This header needs no CUDA header.
//
// Nothing here throws, prints, synchronises or allocates device memory. Pointers are device memory of the
// current device. `stream` is a cudaStream_t. A failed launch gives Status::device_error; last_error() in
// device.hpp has the details.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/status.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels::cuda {

/** The mode of the first product. Sums are float32 in every mode. */
enum class Precision : std::int8_t {
  /** Three tf32 products of split operands, added in float32. As accurate as a float32 product. */
  float32,
  tf32,
  bfloat16,
  float16,
};

enum class Variant : std::int8_t {
  /** CUDA cores, exact float32 operands: float32 with few channels. */
  simt,
  /** Maps and tokens in one launch, mma.sync: for images that take the GPU only a short time. */
  small,
  /** mma.sync with cp.async: sm_80 and later. */
  mma,
  /** wgmma with bulk copies and a producer warp: only sm_90. */
  wgmma,
};

/** How W1 is packed. The other packed weights are the same for all variants. */
enum class WeightFormat : std::int8_t {
  /** Rows of channels in float32: for simt. */
  rows,
  /** See Note [Tile images] in tiling.hpp: for all other variants. */
  tile_images,
};
WeightFormat format_of(Variant variant);

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

/** The plan of one forward. Only plan_forward makes it, on the host. */
struct Plan {
  Precision precision = Precision::float32;
  Variant variant = Variant::mma;
  /** Hidden rows per step of the outer loop. */
  int hidden_tile = 128;
  /** Thread blocks that share one group's hidden rows. */
  int splits = 1;
  /** The number of images that are packed and computed at a time. It limits the workspace. */
  std::int64_t images_per_pass = 0;
  std::size_t workspace_bytes = 0;
  /** Only the small variant has counters. */
  std::size_t counter_bytes = 0;
};

/** W1, b1, w2 and b2, packed for one precision and format. The caller owns the buffer (device memory). */
struct CudaPackedWeights {
  Precision precision = Precision::float32;
  WeightFormat format = WeightFormat::tile_images;
  std::int64_t channels = 0;
  std::int64_t hidden = 0;
  std::int64_t tokens = 0;
  const void* weight = nullptr;  // W1
  /** For each pair of hidden rows: b1, b1, w2, w2. Each group is padded with zeros. */
  const float* bias_and_scale = nullptr;
  const float* token_bias = nullptr;  // b2
};

/**
 * The rule that chooses a variant. It ignores the batch, so an image has the same bits in every batch.
 * The first line that applies decides:
 * - float32 with C <= 16: simt (a chunk of 32 channels would be mostly padding).
 * - At most 0.15 GFLOP for the first product of one image, P >= 96, and the image's tile fits in shared
 *   memory: small.
 * - Compute capability 9.0: wgmma.
 * - Otherwise: mma.
 */
Variant choose_variant(const CudaShape& shape, Precision precision, const DeviceProperties& device);

/** The precision for a dtype. float64 is `unsupported`. */
Status choose_precision(DType dtype, bool allow_tf32, Precision* precision);

Plan plan_forward(const CudaShape& shape, Precision precision, Variant variant,
                  const DeviceProperties& device);

/** True for images whose channels are adjacent in memory. Then other kernels pack the pixels and compute the tokens. */
constexpr bool is_channels_last(std::int64_t channel_stride, std::int64_t pixel_stride) {
  return channel_stride == 1 && pixel_stride != 1;
}

/** True if an image has several segments of pixels. Then one more kernel adds up their sums. */
bool has_pixel_segments(const CudaShape& shape);

/** Weights that are packed for one variant serve every variant of the same format. */
std::size_t packed_weights_bytes(const CudaShape& shape, Precision precision, Variant variant);

/**
 * Asynchronous on `stream`. `weights` is in device memory, contiguous, with num_layers 2. `buffer` is aligned
 * to 1024 bytes and must live as long as `packed` is used. Sizes beyond the kernels' 32-bit arithmetic are
 * `unsupported`, here and in cuda_fused_forward.
 */
Status cuda_pack_weights(const WeightsView& weights, Precision precision, Variant variant, void* buffer,
                         std::size_t bytes, CudaPackedWeights* packed, void* stream);

/** The device memory of one forward, besides its inputs and outputs. */
struct Scratch {
  /** plan.workspace_bytes, aligned to 1024 bytes. Any later work on the same stream may reuse it. */
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
  /** plan.counter_bytes, all zero. They are zero again after the forward, for the stream's next one. */
  void* counters = nullptr;
  std::size_t counter_bytes = 0;
};

/** Sets new counters to zero. Asynchronous on `stream`. */
Status cuda_clear_counters(void* counters, std::size_t bytes, void* stream);

/**
 * Asynchronous on `stream`. `params.attention` is float32 and always written. `params.dtype` is float32,
 * float16 or bfloat16; others are `unsupported`. A pixel with an infinite or NaN channel gets maps of NaN or
 * infinity, but not always the one that the formula gives: products with zero padding and with low parts turn
 * infinity into NaN.
 */
Status cuda_fused_forward(const ForwardParams& params, const CudaPackedWeights& weights, const Plan& plan,
                          const Scratch& scratch, void* stream);

}  // namespace tokenlearner::kernels::cuda
