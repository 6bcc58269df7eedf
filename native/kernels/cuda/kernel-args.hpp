// The arguments of each kernel: plain structs, passed by value. Strides are in elements.
#pragma once

#include <cstdint>

#include "kernels/cuda/portable.hpp"
#include "kernels/dtype.hpp"

namespace tokenlearner::kernels::cuda {

/** Images of C x P elements, with any strides. */
struct ImageView {
  const void* data = nullptr;
  DType dtype = DType::float32;
  std::int64_t batch_stride = 0;
  std::int64_t channel_stride = 0;
  std::int64_t row_stride = 0;
  std::int64_t pixel_stride = 0;
  std::int64_t width = 1;
  /** True if row_stride == width * pixel_stride. Then pixel_offset needs no division. */
  bool flat = true;

  TOKENLEARNER_PORTABLE std::int64_t pixel_offset(std::int64_t pixel) const {
    if (flat) return pixel * pixel_stride;
    return (pixel / width) * row_stride + (pixel % width) * pixel_stride;
  }
};

/** A (B, G, P) in float32. The pixels are contiguous. */
struct AttentionView {
  float* data = nullptr;
  std::int64_t batch_stride = 0;
  std::int64_t token_stride = 0;
};

struct PackPixelsArgs {
  ImageView x;
  std::int64_t pixel_count = 0;  // images * P
  std::int64_t pixels = 1;       // P
  int channels = 0;
  int chunks = 0;
  std::uint8_t* blocks = nullptr;
};

struct PackWeightsArgs {
  const void* weight = nullptr;
  const void* bias = nullptr;
  const void* scale = nullptr;
  const void* token_bias = nullptr;
  DType dtype = DType::float32;
  int channels = 0;
  int hidden = 0;
  int hidden_padded = 0;
  int tokens = 0;
  int chunks = 0;
  std::uint8_t* blocks = nullptr;
  Float4* bias_and_scale = nullptr;
  float* packed_token_bias = nullptr;
};

/** Arguments for the maps A from packed pixels and weights. */
struct MapsArgs {
  const std::uint8_t* x_blocks = nullptr;
  const std::uint8_t* weight_blocks = nullptr;
  const Float4* bias_and_scale = nullptr;
  const float* token_bias = nullptr;
  int chunks = 0;
  int hidden_blocks = 0;  // blocks of 64 rows per group
  int tiles = 0;          // tiles of hidden_tile rows per group
  int tiles_per_split = 0;
  int splits = 1;
  int tokens = 0;
  std::int64_t pixel_count = 0;
  std::int64_t pixels = 1;
  AttentionView attention;
  /** If splits > 1, receives the tiles' sums instead of A: [partial_lanes()][tile][group][partial_stride]. */
  float* partials = nullptr;
  std::int64_t partial_stride = 0;
};

struct SimtArgs {
  ImageView x;
  const float* weight = nullptr;  // [G][K][kSimtChannels]
  const Float4* bias_and_scale = nullptr;
  const float* token_bias = nullptr;
  int channels = 0;
  int hidden = 0;
  int hidden_padded = 0;
  std::int64_t pixel_count = 0;
  std::int64_t pixels = 1;
  AttentionView attention;
};

struct TokensArgs {
  ImageView x;
  int channels = 0;
  int tokens = 0;
  std::int64_t pixels = 1;
  AttentionView attention;
  /** If tiles > 0, the kernel first adds up A from these sums (see MapsArgs) and writes it. */
  const float* partials = nullptr;
  std::int64_t partial_stride = 0;
  int partial_lanes = 0;
  int tiles = 0;
  const float* token_bias = nullptr;
  void* output = nullptr;
  DType output_dtype = DType::float32;
  std::int64_t output_batch_stride = 0;
  std::int64_t output_channel_stride = 0;
  std::int64_t output_token_stride = 0;
  /** If segments > 1, receives the sums of the segments: [image][segment][C][G]. */
  float* segment_sums = nullptr;
  int segments = 1;
};

}  // namespace tokenlearner::kernels::cuda
