// The oracle: the mathematics of token-learner-params.hpp, in double, in the order it is written there.
#pragma once

#include "kernels/status.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels {

/**
 * Every product and sum in double, whatever `params.dtype` and `weights.dtype` are. `params.tokens` and
 * `params.attention` point to doubles. For tests: slow, and it allocates.
 */
Status reference_forward(const ForwardParams& params, const WeightsView& weights) noexcept;

}  // namespace tokenlearner::kernels
