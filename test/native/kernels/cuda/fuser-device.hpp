// TokenFuser on a device, as family-device.hpp has TokenLearner v1.1.
#pragma once

#include "../cpu/fuser-problem.hpp"
#include "family-device.hpp"
#include "kernels/cuda/token-fuser-cuda.hpp"

namespace tokenlearner::kernels::cuda::test {

/** The output in the order of `how.tokens_first`, which stands for channels last, and float32 weights. */
::test::RawResult run_fuser(const FamilyDevice& device, const ::test::FuserProblem& problem,
                            Precision precision, const FamilyRun& how = {});

/** Runs a case and checks its errors against twice PyTorch's, and that no plan changes a bit. */
void check_fuser(const FamilyDevice& device, const ::test::V11Case& config, Precision precision,
                 bool has_norms = true);

}  // namespace tokenlearner::kernels::cuda::test
