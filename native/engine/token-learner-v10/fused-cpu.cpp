// The fused engine of TokenLearner v1.0 for the CPU.

#include "engine/token-learner-v10/marshal.hpp"
#include "kernels/cpu/token-learner-v10.hpp"

namespace tokenlearner {

std::unique_ptr<TokenLearnerEngine> make_fused_cpu_v10_engine(const TokenLearnerV10Config& config,
                                                              const std::vector<Tensor>& parameters) {
  std::shared_ptr<const kernels::TokenLearnerV10Weights> weights;
  check_fused(
      kernels::TokenLearnerV10Weights::pack(v10_view(config, parameters), kernels::chosen_isa(), weights));
  return std::make_unique<FusedPoolingEngine<TokenLearnerV10Config, kernels::TokenLearnerV10Weights>>(
      config, std::move(weights), kernels::token_learner_v10_forward);
}

}  // namespace tokenlearner
