// The launchers of TokenFuser's kernels, as launch.hpp has those of TokenLearner.
#pragma once

#include "kernels/cuda/token-fuser-args.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner::kernels::cuda {

Status launch_token_mix(const MixArgs& args, std::int64_t images, void* stream);
Status launch_token_spread(Precision precision, bool resident, const SpreadArgs& args, std::int64_t images,
                           void* stream);

}  // namespace tokenlearner::kernels::cuda
