// The fused CPU engine of TokenLearner v1.1 (token-learner-v11-params.hpp). It reads x once from memory and stores no
// hidden layer: a block of pixels is packed, normalised, multiplied, and pooled while it is in the cache.
#pragma once

#include <span>

#include "kernels/cpu/norm-mlp-weights.hpp"
#include "kernels/parallel.hpp"
#include "kernels/status.hpp"
#include "kernels/token-learner-v11-params.hpp"

namespace tokenlearner::kernels {

/**
 * Runs a list of forwards as one. Each has its own batch, height, width, strides and memory. `attention` may be null.
 *
 * Runs on the calling thread and on at most max_threads - 1 threads of `parallel`. Returns when done.
 *
 * The bits of an image's result depend only on the image, the weights and the instruction set. They do not depend on
 * the list, the batch, the strides, max_threads or other work on the machine. All have one dtype: float32, float16
 * or bfloat16 for weights packed to float32, and float64 for weights packed to float64. Everything else is
 * `unsupported`.
 */
Status token_learner_v11_forward(std::span<const ForwardParams> list, const NormMlpWeights& weights,
                                 Parallel& parallel, int max_threads) noexcept;

}  // namespace tokenlearner::kernels
