// The oracle: the formulas of token-learner-params.hpp, in double, in the order in which they stand there.
#pragma once

#include "kernels/status.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels {

/**
 * Computes every product and sum in double, for any `params.dtype` and `weights.dtype`. `params.tokens` and
 * `params.attention` point to doubles. For tests only: it is slow and allocates memory.
 */
Status reference_forward(const ForwardParams& params, const WeightsView& weights) noexcept;

}  // namespace tokenlearner::kernels
