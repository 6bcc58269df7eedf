#pragma once

#include <string>

#include "engine/op.hpp"

namespace tokenlearner {

struct GeluConfig {
  /// "none" (exact, erf) or "tanh".
  std::string approximate;
};

class GeluOp final : public ConfiguredOp<GeluOp, GeluConfig> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(const Tensor& input, const RunOptions& options) const override;
};

struct ReluConfig {};

class ReluOp final : public ConfiguredOp<ReluOp, ReluConfig> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(const Tensor& input, const RunOptions& options) const override;
};

}  // namespace tokenlearner
