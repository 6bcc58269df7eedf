// The kernels of TokenLearner v1.0, v1.1 and TokenFuser for one pair of types, as plain function pointers, and their arguments.
#pragma once

#include <cstdint>

#include "kernels/cpu/fused-kernels.hpp"
#include "kernels/norm-mlp-params.hpp"

namespace tokenlearner::kernels {

/** Packed parameters, in Compute. NormMlpWeights owns them. */
struct NormMlpLayout {
  std::int64_t channels;
  std::int64_t hidden;
  std::int64_t tokens;
  std::int64_t groups;
  /** A group's hidden rows, rounded up to whole panels of rows. */
  std::int64_t padded_rows;
  Activation activation;
  double eps;
  /** W0 times LayerNorm's scale: [group][panel][channel of the group][row]. */
  const void* first_weight;
  /** b0 + W0 times LayerNorm's shift, and the sum of each row of first_weight; [group][padded row]. */
  const void* first_bias;
  const void* row_sum;
  /** padded_rows zeros. */
  const void* zeros;
  /** W1: [group][panel][token][row]; and b1. */
  const void* second_weight;
  const void* second_bias;
};

/** A panel in a block: [C][width], of which the first `pixels` vector lanes are pixels. */
struct PanelView {
  const void* x;
  /** The first lane in the block's rows of L, means and so on. */
  std::int64_t lane;
  std::int64_t pixels;
  std::int64_t width;
};

/** Arguments to pack a panel and to subtract the means. See Note [Mean before product]. */
struct CentreTile {
  PixelSource source;
  std::int64_t channels;
  std::int64_t first;
  /** At most a panel. */
  std::int64_t pixels;
  double eps;
  void* panel;
  /** One value per vector lane of the panel. */
  void* mean;
  void* scale;
  void* shift;
};

/** Arguments for L of one panel. */
struct LogitsTile {
  const NormMlpLayout* mlp;
  const void* panel;
  std::int64_t pixels;
  const void* scale;
  const void* shift;
  /** Token g has its row at logits + g * logits_stride. */
  void* logits;
  std::int64_t logits_stride;
  /** Rows for all channels. */
  RowsAhead ahead;
};

/** Limits of every instruction set: see Note [Pooled sums]. */
constexpr std::int64_t kMostPooledChannels = 8;
constexpr std::int64_t kMostPooledPixels = 4;

TOKENLEARNER_ALWAYS_INLINE std::int64_t padded_tokens(std::int64_t tokens) { return (tokens + 3) / 4 * 4; }

/** The pooled sums of a share. */
TOKENLEARNER_ALWAYS_INLINE std::int64_t pooled_values(std::int64_t channels, std::int64_t tokens) {
  return (channels + kMostPooledChannels - 1) * padded_tokens(tokens);
}

/** Arguments for one block of the softmax. See Note [Online softmax]. */
struct SoftmaxTile {
  const PanelView* panels;
  std::int64_t panel_count;
  /** The lanes of all panels; and the same rounded up to whole vectors, the distance of rows. */
  std::int64_t lanes;
  std::int64_t stride;
  std::int64_t tokens;
  /** L, then exp(L - largest), zero in unused lanes. */
  void* logits;
  const void* mean;
  bool is_first;
  /** Per token: Compute, double, double. */
  void* largest;
  double* sum;
  double* offset;
  /** Receives the factors of all older sums: padded_tokens() * kMostPooledPixels values. */
  void* scale;
};

/** Arguments for the pooled sums of one block. */
struct PoolTile {
  const PanelView* panels;
  std::int64_t panel_count;
  std::int64_t channels;
  std::int64_t tokens;
  const void* weights;
  std::int64_t stride;
  /** Scratch of stride * padded_tokens() values. */
  void* packed;
  bool is_first;
  const void* scale;
  /** See Note [Pooled sums]. */
  void* y;
};

/** The sums of a share of an image: what one task computes. */
struct PoolShare {
  void* largest;
  double* sum;
  double* offset;
  /** pooled_values(). See Note [Pooled sums]. */
  void* y;
};

/** Arguments to merge another share into the first one. */
struct MergeTile {
  PoolShare into;
  PoolShare other;
  std::int64_t channels;
  std::int64_t tokens;
};

/** Scratch of a FinishTile. */
TOKENLEARNER_ALWAYS_INLINE std::int64_t finish_values(std::int64_t channels, std::int64_t tokens) {
  return 3 * channels + 2 * padded_tokens(tokens) * kMostPooledPixels;
}

/** Arguments to write the tokens of an image. Overwrites the sums and offsets of the share. */
struct FinishTile {
  PoolShare share;
  std::int64_t channels;
  std::int64_t tokens;
  /** V transposed in each group, [group][channel][output], or null. */
  const void* value;
  std::int64_t groups;
  /** The pixel if the image has only one: y is exactly x then. Else null. */
  const void* only_pixel;
  std::int64_t pixel_channel_stride;
  void* out;
  std::int64_t out_channel_stride;
  std::int64_t out_token_stride;
  /** finish_values(). */
  void* scratch;
};

/** Arguments for T of one image: see token-fuser-params.hpp. */
struct MixTile {
  /** The image's tokens, of type Stored. */
  const void* source;
  std::int64_t token_stride;
  std::int64_t channel_stride;
  std::int64_t channels;
  std::int64_t tokens;
  double eps;
  const double* weight;
  const double* bias;
  /** Null without normalization. */
  const double* norm1_weight;
  const double* norm1_bias;
  const double* norm2_weight;
  const double* norm2_bias;
  /** (tokens + 1) * stride values. */
  double* scratch;
  /** [G][stride] of Compute. */
  void* out;
  std::int64_t stride;
};

/** Arguments for y of a panel: rows are channels and columns pixels, or the other way round if y is channels last. */
struct SpreadTile {
  /** [G][rows_stride] and [G][columns_stride] of Compute. */
  const void* rows;
  std::int64_t rows_stride;
  std::int64_t row_count;
  const void* columns;
  std::int64_t columns_stride;
  std::int64_t column_count;
  std::int64_t tokens;
  /** Of type Stored. */
  void* out;
  std::int64_t out_stride;
};

/** Arguments to write the products of a panel's pixels to their planes. See Note [Padded planes]. */
struct TapsTile {
  /** [row][panel_width]. */
  const void* products;
  std::int64_t panel_width;
  std::int64_t rows;
  /** The position of the panel's first pixel in its image, and the image's width. */
  std::int64_t first;
  std::int64_t pixels;
  std::int64_t width;
  /** As in LogitsTile and NormMlpLayout. */
  const void* scale;
  const void* shift;
  const void* row_sum;
  const void* bias;
  void* planes;
  /** Elements of a plane. */
  std::int64_t plane;
};

/** Arguments for rows of all planes of an image. */
struct PlanesTile {
  const void* in;
  void* out;
  /** Elements of a padded plane, and of one of A's. */
  std::int64_t plane;
  std::int64_t out_plane;
  std::int64_t width;
  std::int64_t first_row;
  std::int64_t row_count;
  std::int64_t tokens;
  /** [block of four outputs][input][tap][output]; padded with zeros. */
  const void* weights;
  Activation activation;
};

struct NormMlpKernels {
  void (*centre)(const CentreTile&);
  void (*logits)(const LogitsTile&);
  void (*softmax_block)(const SoftmaxTile&);
  void (*pool)(const PoolTile&);
  void (*merge)(const MergeTile&);
  void (*finish)(const FinishTile&);
  /** L of one token becomes its map, in place. */
  void (*softmax_row)(void* row, std::int64_t count, const void* largest, double sum);
  void (*mix)(const MixTile&);
  /** In place. `count` is a multiple of a vector. */
  void (*sigmoid)(void* logits, std::int64_t count);
  void (*spread)(const SpreadTile&);
  void (*write_taps)(const TapsTile&);
  void (*sum_taps)(const PlanesTile&);
  void (*convolve)(const PlanesTile&);
  void (*convolve_to_maps)(const PlanesTile&);
  /** For tests: exp and GELU's tanh form with the arithmetic of the kernels. */
  void (*exponential)(const void* in, void* out, std::int64_t count);
  void (*gelu_tanh)(const void* in, void* out, std::int64_t count);
};

}  // namespace tokenlearner::kernels
