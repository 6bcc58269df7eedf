#pragma once

#include "engine/aten.hpp"
#include "engine/op.hpp"

namespace tokenlearner {

/// torch.nn.MaxPool2d.
class MaxPool2dOp final : public ConfiguredOp<MaxPool2dOp, aten::MaxPool2dOptions> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(const Tensor& input, const RunOptions& options) const override;
};

}  // namespace tokenlearner
