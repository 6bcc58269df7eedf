// The fused engine of TokenLearner v1.1 for the CPU. It converts tensors to the kernels' params struct and back.

#include "engine/token-learner-v11/marshal.hpp"
#include "engine/token-learner/fused-pooling.hpp"
#include "kernels/cpu/token-learner-v11.hpp"

namespace tokenlearner {

std::unique_ptr<TokenLearnerEngine> make_fused_cpu_v11_engine(const TokenLearnerV11Config& config,
                                                              const std::vector<Tensor>& parameters) {
  std::shared_ptr<const kernels::NormMlpWeights> weights;
  check_fused(kernels::NormMlpWeights::pack(v11_view(config, parameters), kernels::chosen_isa(), weights));
  return std::make_unique<FusedPoolingEngine<TokenLearnerV11Config, kernels::NormMlpWeights>>(
      config, std::move(weights), kernels::token_learner_v11_forward);
}

}  // namespace tokenlearner
