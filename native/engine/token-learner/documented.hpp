// The documented computation in parts, so that it takes little memory: it verifies the fused CUDA kernels.
#pragma once

#include <vector>

#include "engine/memory/tensor.hpp"
#include "engine/token-learner/engine.hpp"
#include "kernels/cuda/verification.hpp"

namespace tokenlearner {

/// Computes `how`'s slices and image rows one after another on libtorch, in `dtype`, and adds them up in
/// float64. x (B, C, H, W) and the parameters have one dtype; the tokens are rounded to it. Two layers only.
kernels::cuda::Answer documented_answer(const TokenLearnerConfig& config,
                                        const std::vector<Tensor>& parameters, const Tensor& x, DType dtype,
                                        const kernels::cuda::Verification& how);

/// The numbers of float32 maps and of tokens of any dtype, on the host, in the order of (B, G, H, W) and
/// (B, C, G).
kernels::cuda::Answer answer_of(const TokensAndMaps& result);

}  // namespace tokenlearner
