// What one instruction set offers to the fused engine: plain function pointers, filled in by fused-<isa>.cpp.
#pragma once

#include <cstdint>

#include "kernels/cpu/isa.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels {

/** Where the pixels of all images lie: pixel n of the flat sequence is pixel n % (H*W) of image n / (H*W). */
struct PixelSource {
  const void* x;
  std::int64_t height;
  std::int64_t width;
  std::int64_t batch_stride;
  std::int64_t channel_stride;
  std::int64_t row_stride;
  std::int64_t pixel_stride;
};

/**
 * One group's share of W1, w2 and the biases, in Compute. W1 lies in panels of `panel_rows` rows:
 * [panel][C][row]; the last is padded with zeros.
 */
struct PackedGroup {
  const void* w1;
  const void* b1;
  const void* w2;
  const void* b2;
};

/** A of one group for a block of pixels. */
struct AttentionTile {
  /** Panels of pixels as pack_pixels() wrote them. */
  const void* x;
  std::int64_t pixels;
  std::int64_t channels;
  std::int64_t hidden;
  PackedGroup group;
  /** `pixels` values of Compute; room for twice `pixels` rounded up to whole panels of panel_pixels. */
  void* out;
  /** See Note [Loop order]. */
  bool pixels_outermost;
};

/** y[c, g] for a few channels of one image and all groups. */
struct TokenTile {
  PixelSource source;
  std::int64_t image;
  std::int64_t first_channel;
  std::int64_t channels;
  std::int64_t groups;
  /** A of this image, in Compute. */
  const void* attention;
  std::int64_t attention_token_stride;
  /** y of this image, in Stored. */
  void* tokens;
  std::int64_t tokens_channel_stride;
  std::int64_t tokens_token_stride;
  /** At least token_scratch bytes. */
  void* scratch;
};

/** The kernels for one pair of types: Stored is x's and y's, Compute is what sums are kept in. */
struct TypedKernels {
  /** Rows of W1 in a panel. */
  int panel_rows;
  /** Pixels in the widest panel. */
  int panel_pixels;
  /** Channels of y that one TokenTile takes at most. */
  int token_channels;
  std::int64_t token_scratch;
  /** Bytes that pack_pixels() writes. */
  std::int64_t (*packed_bytes)(std::int64_t channels, std::int64_t pixels);
  void (*pack_pixels)(const PixelSource&, std::int64_t channels, std::int64_t first, std::int64_t pixels,
                      void* out);
  void (*attention)(const AttentionTile&);
  void (*tokens)(const TokenTile&);
  /** out[i] = gelu(in[i]), with the arithmetic of attention(). For tests. */
  void (*gelu)(const void* in, void* out, std::int64_t count);
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

/** The kernels of `isa`, which must be available. */
const IsaKernels& kernels_of(Isa isa);

const IsaKernels& baseline_kernels();
const IsaKernels& avx2_kernels();
const IsaKernels& avx512_kernels();

}  // namespace tokenlearner::kernels
