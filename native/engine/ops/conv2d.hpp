#pragma once

#include "engine/aten.hpp"
#include "engine/op.hpp"

namespace tokenlearner {

/// torch.nn.Conv2d: parameters weight (O, C / groups, kh, kw) and optionally bias (O).
class Conv2dOp final : public ConfiguredOp<Conv2dOp, aten::Conv2dOptions> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(const Tensor& input, const RunOptions& options) const override;
};

}  // namespace tokenlearner
