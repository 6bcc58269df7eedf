// The fused engine of TokenLearner v1.0 for the CPU.

#include "engine/token-learner-v10/engine.hpp"
#include "engine/token-learner/fused-pooling.hpp"
#include "kernels/cpu/token-learner-v10.hpp"

namespace tokenlearner {

std::unique_ptr<TokenLearnerEngine> make_fused_cpu_v10_engine(const TokenLearnerV10Config& config,
                                                              const std::vector<Tensor>& parameters) {
  kernels::TokenLearnerV10View view;
  view.channels = config.dim;
  view.tokens = config.num_output_tokens;
  view.dtype = parameters[0].dtype;
  view.activation = activation_of(config.approximate);
  view.eps = config.eps;
  view.takes_mean = config.pooling == "mean";
  view.norm_weight = parameters[0].data();
  view.norm_bias = parameters[1].data();
  for (std::size_t i = 0; i < 4; ++i) view.convolutions[i] = parameters[2 + i].data();
  std::shared_ptr<const kernels::TokenLearnerV10Weights> weights;
  check_fused(kernels::TokenLearnerV10Weights::pack(view, kernels::chosen_isa(), weights));
  return std::make_unique<FusedPoolingEngine<TokenLearnerV10Config, kernels::TokenLearnerV10Weights>>(
      config, std::move(weights), kernels::token_learner_v10_forward);
}

}  // namespace tokenlearner
