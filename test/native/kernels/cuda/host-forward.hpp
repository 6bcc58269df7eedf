// One forward on the host machine, from packing to tokens.
#pragma once

#include <vector>

#include "kernels/cuda/token-learner-cuda.hpp"
#include "problem.hpp"

namespace tokenlearner::kernels::cuda::test {

/** An H100. */
inline constexpr DeviceProperties kHopper{9, 0, 132, 232448};

struct Result {
  /** (B, G, P). */
  std::vector<double> attention;
  /** (B, C, G), also with `tokens_first`. */
  std::vector<double> tokens;
};

/** With `tokens_first` the forward writes its tokens as (B, G, C). */
Result run_forward(const Problem& problem, Precision precision, Variant variant, const Plan& plan,
                   bool tokens_first = false);

}  // namespace tokenlearner::kernels::cuda::test
