// The arguments of each kernel: plain structs, passed by value. Strides are in elements.
#pragma once

#include <cstdint>

#include "kernels/cuda/portable.hpp"
#include "kernels/dtype.hpp"

namespace tokenlearner::kernels::cuda {

/** The largest image. A launch of the token kernel has at most 65535 segments of 1024 pixels. */
inline constexpr std::int64_t kMostImagePixels = std::int64_t{65535} * 1024;

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
  /** True if every pair of pixels (2 i, 2 i + 1) of a channel can be read by one aligned load. */
  bool pixel_pairs = false;
  /** True if every 16 bytes of a pixel's channels can be read by one aligned load. */
  bool channel_units = false;

  TOKENLEARNER_PORTABLE std::int64_t pixel_offset(std::int64_t pixel) const {
    if (flat) return pixel * pixel_stride;
    // A division of 64-bit numbers takes some hundred instructions. kMostImagePixels fits in 32 bits.
    const auto column = static_cast<std::uint32_t>(pixel) % static_cast<std::uint32_t>(width);
    const auto row = static_cast<std::uint32_t>(pixel) / static_cast<std::uint32_t>(width);
    return row * row_stride + column * pixel_stride;
  }
};

/** Sets pixel_pairs and channel_units for images of C x P elements. */
inline void find_vector_loads(ImageView& view, std::int64_t channels, std::int64_t pixels) {
  const auto multiple = [&](std::int64_t count, std::int64_t length, std::int64_t stride) {
    const auto bytes = static_cast<std::uintptr_t>(count) * item_size(view.dtype);
    return reinterpret_cast<std::uintptr_t>(view.data) % bytes == 0 && length % count == 0 &&
           stride % count == 0 && view.batch_stride % count == 0;
  };
  view.pixel_pairs = view.flat && view.pixel_stride == 1 && multiple(2, pixels, view.channel_stride);
  const auto unit = static_cast<std::int64_t>(16 / item_size(view.dtype));
  view.channel_units = view.channel_stride == 1 && (view.flat || view.row_stride % unit == 0) &&
                       multiple(unit, channels, view.pixel_stride);
}

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

/** Rows of a parameter to float32, each padded with zeros to padded_columns. */
struct WidenArgs {
  /** Null stands for zeros. */
  const void* source = nullptr;
  DType dtype = DType::float32;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t padded_columns = 0;
  float* target = nullptr;
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
  std::int64_t output_batch_stride = 0;
  std::int64_t output_channel_stride = 0;
  std::int64_t output_token_stride = 0;
  /** True if y is the sum over the pixels, not their mean. */
  bool is_sum = false;
  /** If segments > 1, receives the sums of the segments: [image][segment][C][G]. */
  float* segment_sums = nullptr;
  int segments = 1;

  /** The divisor of the sums over the pixels. */
  TOKENLEARNER_PORTABLE float divisor() const { return is_sum ? 1.0f : static_cast<float>(pixels); }
};

}  // namespace tokenlearner::kernels::cuda
