// TokenLearner v1.0 on a device, as family-device.hpp has v1.1.
#pragma once

#include "../cpu/v10-problem.hpp"
#include "family-device.hpp"
#include "kernels/cuda/token-learner-v10-cuda.hpp"

namespace tokenlearner::kernels::cuda::test {

/** Tokens as the kernels write them, and float32 maps. */
::test::RawResult run_v10(const FamilyDevice& device, const ::test::V10Problem& problem, Precision precision,
                          const FamilyRun& how = {});

/** Runs a case and checks its errors against twice PyTorch's, and that no plan changes a bit. */
void check_v10(const FamilyDevice& device, const ::test::V11Case& config, Precision precision,
               bool takes_mean = false);

}  // namespace tokenlearner::kernels::cuda::test
