// The arguments of TokenFuser's kernels: plain structs, passed by value. Strides are in elements.
#pragma once

#include "kernels/cuda/norm-rows-args.hpp"

namespace tokenlearner::kernels::cuda {

/** Arguments for T, the mixed tokens. */
struct MixArgs {
  const void* source = nullptr;
  DType dtype = DType::float32;
  std::int64_t batch_stride = 0;
  std::int64_t channel_stride = 0;
  std::int64_t token_stride = 0;
  int channels = 0;
  int tokens = 0;
  float eps = 0.0f;
  const float* weight = nullptr;  // (G, G), output first
  const float* bias = nullptr;    // (G)
  /** (C) each. All are null without normalization. */
  const float* norm1_weight = nullptr;
  const float* norm1_bias = nullptr;
  const float* norm2_weight = nullptr;
  const float* norm2_bias = nullptr;
  float* mixed = nullptr;  // [image][G][C]
};

/** Arguments for the output of tiles of pixels. */
struct SpreadArgs {
  NormRowsArgs rows;
  MlpArgs mlp;
  int tokens = 0;
  int tiles = 1;  // of an image
  const float* mixed = nullptr;
  /** Receives Q. `data` is null if nobody wants it. */
  AttentionView attention;
  void* output = nullptr;
  bool out_channels_last = false;
};

}  // namespace tokenlearner::kernels::cuda
