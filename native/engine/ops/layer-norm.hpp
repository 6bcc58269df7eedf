#pragma once

#include "engine/op.hpp"

namespace tokenlearner {

struct LayerNormConfig {
  Dims normalized_shape;
  double eps = 1e-5;
};

/// torch.nn.LayerNorm: parameters weight and bias (normalized_shape), or none without the affine part.
class LayerNormOp final : public ConfiguredOp<LayerNormOp, LayerNormConfig> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(const Tensor& input, const RunOptions& options) const override;
};

}  // namespace tokenlearner
