// The fused CPU engine: attention maps and tokens without the repeat, the hidden layer or the product ever in
// memory.
#pragma once

#include "kernels/cpu/packed-weights.hpp"
#include "kernels/parallel.hpp"
#include "kernels/status.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels {

/**
 * Runs on the caller and on at most max_threads - 1 threads of `parallel`; returns when done.
 *
 * The bits of an image's result depend on the image, the weights and the instruction set alone: not on the
 * batch, the strides, max_threads, or what else runs. `params.dtype` is float32, float16 or bfloat16 with
 * weights that were packed to float32, or float64 with float64: anything else is `unsupported`. Besides the
 * arguments it uses under 4 MB a thread.
 */
Status fused_forward(const ForwardParams& params, const PackedWeights& weights, Parallel& parallel,
                     int max_threads) noexcept;

}  // namespace tokenlearner::kernels
