#pragma once

#include "engine/op.hpp"

namespace tokenlearner {

struct FlattenConfig {
  int64_t start_dim = 1;
  int64_t end_dim = -1;
};

/// torch.nn.Flatten: dimensions [start_dim, end_dim] become one; negative ones count from the end.
class FlattenOp final : public ConfiguredOp<FlattenOp, FlattenConfig> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(const Tensor& input, const RunOptions& options) const override;
};

}  // namespace tokenlearner
