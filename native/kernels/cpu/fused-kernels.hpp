// The kernels of one instruction set, as plain function pointers. fused-<isa>.cpp fills them in.
#pragma once

#include <cstdint>

#include "kernels/cpu/isa.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels {

/** Images of one size. Pixel n of their flat sequence is pixel n % (H*W) of image n / (H*W). */
struct PixelSource {
  const void* x;
  std::int64_t height;
  std::int64_t width;
  std::int64_t batch_stride;
  std::int64_t channel_stride;
  std::int64_t row_stride;
  std::int64_t pixel_stride;
  /** The pixels of all its images. */
  std::int64_t pixels;
};

/**
 * One group's part of a layer, in Compute. The weights of a layer with many rows are stored in panels of
 * `panel_rows` rows: [panel][input channel][row]. The last panel is padded with zeros, and so is the bias.
 */
struct PackedLayer {
  const void* weight;
  const void* bias;
};

/** Arguments for the product of a layer's weights and a block of pixels. */
struct ProductTile {
  /** Panels of pixels: pack_pixels() or layer() wrote them. */
  const void* x;
  std::int64_t pixels;
  /** Input channels and output rows of the layer. */
  std::int64_t channels;
  std::int64_t rows;
  PackedLayer layer;
  /** See Note [Loop order]. */
  bool pixels_outermost;
};

/** Arguments for A of one group and a block of pixels. */
struct AttentionTile {
  /** The last hidden layer. */
  ProductTile product;
  /** w2 and b2. */
  PackedLayer last;
  /**
   * Receives `pixels` values of Compute. Needs room for 2 * (pixels rounded up to panels of panel_pixels).
   */
  void* out;
};

/** Arguments for a layer whose outputs are stored. */
struct LayerTile {
  ProductTile product;
  /** Applies GELU to the outputs. */
  bool gelu;
  /** Receives packed_bytes(rows, pixels): panels of pixels, with rows in place of channels. */
  void* out;
};

/** Arguments for y[c, g] of a few channels of one image and all groups. */
struct TokenTile {
  PixelSource source;
  std::int64_t image;
  std::int64_t first_channel;
  std::int64_t channels;
  std::int64_t groups;
  /** A of this image, of type Compute. */
  const void* attention;
  std::int64_t attention_token_stride;
  /** P for the mean over the pixels, 1 for the sum. */
  std::int64_t divisor;
  /** y of this image, of type Stored. */
  void* tokens;
  std::int64_t tokens_channel_stride;
  std::int64_t tokens_token_stride;
  /** At least token_scratch bytes. */
  void* scratch;
};

struct NormMlpKernels;

/** The kernels for one pair of types: Stored is the type of x and y, Compute is the type of the sums. */
struct TypedKernels {
  /** Rows of weights per panel. */
  int panel_rows;
  /** Pixels of the widest panel. */
  int panel_pixels;
  /** Numbers in a vector. */
  int lanes;
  /** The maximum number of y's channels in one TokenTile. */
  int token_channels;
  std::int64_t token_scratch;
  /** The number of bytes that pack_pixels() writes. */
  std::int64_t (*packed_bytes)(std::int64_t channels, std::int64_t pixels);
  /**
   * Packs `pixels` pixels from pixel `first` of sources[0] on. Where a source ends, the next one continues the
   * sequence.
   */
  void (*pack_pixels)(const PixelSource* sources, std::int64_t channels, std::int64_t first,
                      std::int64_t pixels, void* out);
  void (*attention)(const AttentionTile&);
  void (*layer)(const LayerTile&);
  void (*tokens)(const TokenTile&);
  /** out[i] = gelu(in[i]), with the arithmetic of attention(). For tests. */
  void (*gelu)(const void* in, void* out, std::int64_t count);
  /** See norm-mlp-kernels.hpp. */
  const NormMlpKernels* norm_mlp;
};

struct IsaKernels {
  TypedKernels float32;
  TypedKernels float64;
  TypedKernels float16;
  TypedKernels bfloat16;

  const TypedKernels& of(DType dtype) const {
    switch (dtype) {
      case DType::float64:
        return float64;
      case DType::float16:
        return float16;
      case DType::bfloat16:
        return bfloat16;
      default:
        return float32;
    }
  }
};

/** The kernels of `isa`. Precondition: is_available(isa). */
const IsaKernels& kernels_of(Isa isa);

const IsaKernels& baseline_kernels();
const IsaKernels& neon_kernels();
const IsaKernels& avx2_kernels();
const IsaKernels& avx512_kernels();

}  // namespace tokenlearner::kernels
