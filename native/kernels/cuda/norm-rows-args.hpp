// The arguments of the kernels that start with LayerNorm of a pixel and a product: TokenLearner v1.0 and v1.1, TokenFuser.
// Plain structs, passed by value. Strides are in elements.
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/norm-mlp-params.hpp"

namespace tokenlearner::kernels::cuda {

/** LayerNorm and the first product. */
struct NormRowsArgs {
  ImageView x;
  /** See is_channels_last(). */
  bool channels_last = false;
  int channels = 0;
  int chunks = 0;
  std::int64_t pixels = 1;  // P
  float eps = 0.0f;
  const float* norm_weight = nullptr;  // (C)
  const float* norm_bias = nullptr;    // (C)
  /** W0, in blocks of 64 rows: Note [Tile images] in tiling.hpp. */
  const std::uint8_t* row_blocks = nullptr;
  int row_tiles = 0;
};

/** What follows the first product: h = activation(. + b0), L = W1 h + b1. */
struct MlpArgs {
  Activation activation = Activation::gelu_tanh;
  const float* first_bias = nullptr;  // (padded D)
  /** (G, padded D), in rows of whole tiles of hidden rows; zeros beyond D. */
  const float* second_weight = nullptr;
  const float* second_bias = nullptr;  // (G)
};

struct V11Args {
  NormRowsArgs rows;
  MlpArgs mlp;
  int tokens = 0;
  /** Shares of an image, and tiles of 32 pixels of a share: a thread block computes one share. */
  int shares = 1;
  int tiles_per_share = 1;
  /** Receives L, which becomes A. `data` is null if nobody wants it. */
  AttentionView attention;
  /** [image][share][G], [image][share][G] and [image][share][G][C]. */
  float* share_largest = nullptr;
  float* share_sum = nullptr;
  float* share_y = nullptr;
  /** [image][G]: of all shares. */
  float* largest = nullptr;
  float* sum = nullptr;
  void* output = nullptr;
  std::int64_t output_batch_stride = 0;
  std::int64_t output_channel_stride = 0;
  std::int64_t output_token_stride = 0;
};

}  // namespace tokenlearner::kernels::cuda
