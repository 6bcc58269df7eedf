// The fused CPU engine, for any number of layers. It computes attention maps and tokens without storing the
// repeat, the last hidden layer or the product in memory. With more than two layers, a thread stores the other
// hidden layers of one block of pixels and one token at a time.
#pragma once

#include <span>

#include "kernels/cpu/packed-weights.hpp"
#include "kernels/parallel.hpp"
#include "kernels/status.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels {

/**
 * Runs a list of forwards as one. Each has its own batch, height, width, strides and memory; nothing is
 * gathered first and nothing is scattered afterwards. All pixels of the list are one sequence, so that many
 * small images use all threads and share the weights in the cache.
 *
 * Runs on the calling thread and on at most max_threads - 1 threads of `parallel`. Returns when done.
 *
 * The bits of an image's result depend only on the image, the weights and the instruction set. They do not
 * depend on the list, the batch, the strides, max_threads or other work on the machine. All have one dtype:
 * float32, float16 or bfloat16 for weights packed to float32, and float64 for weights packed to float64.
 * Everything else is `unsupported`. Besides the arguments it uses less than 4 MB per thread, unless a few
 * pixels with all their channels and hidden units need more, and 200 bytes per forward.
 */
Status fused_forward(std::span<const ForwardParams> list, const PackedWeights& weights, Parallel& parallel,
                     int max_threads) noexcept;

/** A list of one. */
inline Status fused_forward(const ForwardParams& params, const PackedWeights& weights, Parallel& parallel,
                            int max_threads) noexcept {
  return fused_forward(std::span(&params, 1), weights, parallel, max_threads);
}

}  // namespace tokenlearner::kernels
