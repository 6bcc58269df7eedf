#pragma once

#include "engine/op.hpp"
#include "engine/token-learner/engine.hpp"

namespace tokenlearner {

/// The TokenLearner layer: any leading dimensions around an engine that knows (B, C, H, W).
/// Parameters: weight and bias of net.0, net.2, ... in order.
class TokenLearnerOp final : public ConfiguredOp<TokenLearnerOp, TokenLearnerConfig> {
 public:
  TokenLearnerOp(TokenLearnerConfig config, Placement placement, std::vector<Tensor> parameters);
  Outputs run(const Tensor& input, const RunOptions& options) const override;
  std::vector<std::size_t> result_bytes(const Dims& input, const RunOptions& options) const override;
  bool is_brief(const Tensor& input) const override { return engine_->is_brief(input.numel()); }

 private:
  std::unique_ptr<TokenLearnerEngine> engine_;
};

}  // namespace tokenlearner
