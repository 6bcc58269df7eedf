#pragma once

#include "engine/op.hpp"

namespace tokenlearner {

struct LinearConfig {};

/// torch.nn.Linear: parameters weight (out, in) and optionally bias (out).
class LinearOp final : public ConfiguredOp<LinearOp, LinearConfig> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(const Tensor& input, const RunOptions& options) const override;
};

}  // namespace tokenlearner
