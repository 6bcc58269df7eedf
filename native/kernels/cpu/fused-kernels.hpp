// The kernels of one instruction set, as plain function pointers. fused-<isa>.cpp fills them in.
#pragma once

#include <cstdint>

#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/product-blocks.hpp"
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

/** The element of x at which a pixel starts. */
TOKENLEARNER_ALWAYS_INLINE std::int64_t offset_of(const PixelSource& source, std::int64_t pixel) {
  const std::int64_t per_image = source.height * source.width;
  const std::int64_t in_image = pixel % per_image;
  return pixel / per_image * source.batch_stride + in_image / source.width * source.row_stride +
         in_image % source.width * source.pixel_stride;
}

/** Pixels that are pixel_stride apart, one after the other: those of a row or, without gaps between rows, of an image. */
TOKENLEARNER_ALWAYS_INLINE std::int64_t run_length(const PixelSource& source) {
  return source.row_stride == source.width * source.pixel_stride ? source.height * source.width
                                                                 : source.width;
}

/** True if `pixels` pixels from `first` on are in one run. */
TOKENLEARNER_ALWAYS_INLINE bool is_one_run(const PixelSource& source, std::int64_t first,
                                           std::int64_t pixels) {
  const std::int64_t run = run_length(source);
  return first % run + pixels <= run;
}

/**
 * How the weights of a layer with many rows lie in memory: [panel of `rows` rows][block of `run` inputs][row][input]. What is
 * left of the last panel and block is zero.
 */
struct WeightPanels {
  int rows;
  int run;
};

/** One group's part of a layer, in panels. The last panel of the bias, in Compute, is padded with zeros too. */
struct PackedLayer {
  const void* weight;
  const void* bias;
};

/**
 * Memory that a product fetches into the caches while it computes: for each of its inputs a row, `stride` bytes after the one before,
 * of which `lines` cache lines from `first` on. See Note [Fetching ahead].
 */
struct RowsAhead {
  const char* first = nullptr;
  std::int64_t stride = 0;
  std::int64_t lines = 0;
};

/** Arguments for the product of a layer's weights and a block of pixels. */
struct ProductTile {
  /** Panels of pixels: pack_pixels() or layer() wrote them. */
  const void* x;
  std::int64_t pixels;
  /** Inputs of the layer: rows of x's panels. */
  std::int64_t inputs;
  /** Outputs of the layer. */
  std::int64_t rows;
  PackedLayer layer;
  ProductBlocks blocks;
  /** Of sums_bytes(). */
  void* sums;
  RowsAhead ahead = {};
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
  /** Rows of weights per panel, where the inputs are of type Compute. */
  int panel_rows;
  /** Up to so many pixels beyond whole vectors have kernels for a panel that is not padded; 0 where there are none. */
  std::int64_t few_pixels;
  /** The weights that meet packed pixels. */
  WeightPanels first_panels;
  /** How many times as fast as in Compute the product of packed pixels is, with its GELU. */
  int first_speed;
  /**
   * Rows of packed pixels: one a channel, of type Compute; or one for two channels, which share an element of 4 bytes in
   * bfloat16, and the rest is zero.
   */
  std::int64_t (*pixel_rows)(std::int64_t channels);
  /** See Note [Blocks of a product]. */
  bool divides_inputs;
  /** Pixels of the widest panel. */
  int panel_pixels;
  /** Numbers in a vector. */
  int lanes;
  /** The maximum number of y's channels in one TokenTile. */
  int token_channels;
  std::int64_t token_scratch;
  /** Bytes of panels with that number of rows: pack_pixels() writes pixel_rows(). */
  std::int64_t (*packed_bytes)(std::int64_t rows, std::int64_t pixels);
  /**
   * Packs `pixels` pixels from pixel `first` of sources[0] on. Where a source ends, the next one continues the
   * sequence.
   */
  void (*pack_pixels)(const PixelSource* sources, std::int64_t channels, std::int64_t first,
                      std::int64_t pixels, void* out);
  /** The first two take packed pixels, the other two the outputs of a layer. */
  void (*first_attention)(const AttentionTile&);
  void (*first_layer)(const LayerTile&);
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

/** The kernels of `isa`, which compute 16-bit types in float32. Precondition: is_available(isa). */
const IsaKernels& kernels_of(Isa isa);

/** The fastest kernels for TokenLearner with weights of `dtype`. Precondition: is_available(isa). */
const TypedKernels& token_learner_kernels(Isa isa, DType dtype);

const IsaKernels& baseline_kernels();
const IsaKernels& neon_kernels();
const IsaKernels& avx2_kernels();
const IsaKernels& avx512_kernels();
/** See Note [Products of pairs]. Only for CPUs with AVX512_BF16, or with AMX_BF16 that enable_tiles() has switched on. */
const TypedKernels& avx512_bf16_kernels();
const TypedKernels& amx_bf16_kernels();

}  // namespace tokenlearner::kernels
