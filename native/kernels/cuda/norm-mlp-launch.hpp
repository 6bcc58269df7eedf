// The launchers of the kernels of norm-mlp-cuda.hpp, as launch.hpp has those of TokenLearner.
#pragma once

#include "kernels/cuda/norm-rows-args.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner::kernels::cuda {

Status launch_v11_shares(Precision precision, bool resident, const V11Args& args, std::int64_t images,
                         void* stream);
Status launch_v11_merge(const V11Args& args, std::int64_t images, void* stream);
Status launch_v11_maps(const V11Args& args, std::int64_t images, void* stream);

}  // namespace tokenlearner::kernels::cuda
