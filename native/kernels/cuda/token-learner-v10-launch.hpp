// The launchers of TokenLearner v1.0's kernels, as launch.hpp has those of TokenLearner.
#pragma once

#include "kernels/cuda/token-learner-cuda.hpp"
#include "kernels/cuda/token-learner-v10-args.hpp"

namespace tokenlearner::kernels::cuda {

Status launch_taps(Precision precision, bool resident, const TapsArgs& args, std::int64_t images,
                   void* stream);
Status launch_sum_taps(const PlanesArgs& args, std::int64_t images, void* stream);
Status launch_convolve(const PlanesArgs& args, std::int64_t images, void* stream);

}  // namespace tokenlearner::kernels::cuda
