// The fused engine of TokenLearner v1.1 for the CPU. It converts tensors to the kernels' params struct and back.

#include "engine/token-learner-v11/engine.hpp"
#include "engine/token-learner/fused-pooling.hpp"
#include "kernels/cpu/token-learner-v11.hpp"

namespace tokenlearner {

namespace {

kernels::TokenLearnerV11View view_of(const TokenLearnerV11Config& config, const std::vector<Tensor>& p) {
  kernels::TokenLearnerV11View view;
  view.mlp.channels = config.dim;
  view.mlp.hidden = config.hidden();
  view.mlp.tokens = config.num_output_tokens;
  view.mlp.groups = config.has_value() ? config.groups : 1;
  view.mlp.dtype = p[0].dtype;
  view.mlp.activation = activation_of(config.activation());
  view.mlp.eps = config.eps;
  view.mlp.norm_weight = p[0].data();
  view.mlp.norm_bias = p[1].data();
  view.mlp.first_weight = p[2].data();
  if (config.has_value()) {
    view.mlp.second_weight = p[3].data();
    view.value_weight = p[4].data();
  } else {
    view.mlp.first_bias = p[3].data();
    view.mlp.second_weight = p[4].data();
    view.mlp.second_bias = p[5].data();
  }
  return view;
}

}  // namespace

std::unique_ptr<TokenLearnerEngine> make_fused_cpu_v11_engine(const TokenLearnerV11Config& config,
                                                              const std::vector<Tensor>& parameters) {
  std::shared_ptr<const kernels::NormMlpWeights> weights;
  check_fused(kernels::NormMlpWeights::pack(view_of(config, parameters), kernels::chosen_isa(), weights));
  return std::make_unique<FusedPoolingEngine<TokenLearnerV11Config, kernels::NormMlpWeights>>(
      config, std::move(weights), kernels::token_learner_v11_forward);
}

}  // namespace tokenlearner
