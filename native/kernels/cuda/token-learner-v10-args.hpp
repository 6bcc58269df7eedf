// The arguments of TokenLearner v1.0's kernels: plain structs, passed by value. Strides are in elements.
#pragma once

#include "kernels/cuda/norm-rows-args.hpp"

namespace tokenlearner::kernels::cuda {

/** Arguments for the products of each pixel with the first convolution's taps. */
struct TapsArgs {
  NormRowsArgs rows;
  int tiles = 1;              // of an image
  int taps = 0;               // 9 G
  float* products = nullptr;  // [image][tap][G][P]
};

/** Arguments for a convolution's planes, [image][G][P]. */
struct PlanesArgs {
  /** The products, or the planes of the last convolution. */
  const float* in = nullptr;
  const float* weights = nullptr;  // (G, G, 3, 3), output first
  int tokens = 0;
  int height = 0;
  int width = 0;
  Activation activation = Activation::gelu_tanh;
  /** True after the last convolution: a sigmoid in place of the activation. */
  bool makes_maps = false;
  AttentionView out;
};

}  // namespace tokenlearner::kernels::cuda
