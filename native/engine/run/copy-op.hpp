#pragma once

#include <memory>
#include <vector>

#include "engine/run/op.hpp"

namespace tokenlearner {

/// Copies its only input to a placement whose dtype may be any. The output is contiguous.
class CopyOp final : public Op {
 public:
  explicit CopyOp(Placement target) : Op(target, {}) {}
  Outputs run(Inputs inputs, const CallOptions& options) const override;
  std::vector<std::size_t> result_bytes(std::span<const Dims> inputs, const CallOptions&) const override;
  bool runs_anywhere() const override { return placement().device.is_cpu(); }
  bool places_outputs() const override { return true; }
  std::shared_ptr<const Op> with(Placement target, std::vector<Tensor>) const override;
};

/// Copies an operator's parameters to the CPU. It has no inputs.
class ParametersOp final : public Op {
 public:
  explicit ParametersOp(std::shared_ptr<const Op> source)
      : Op(source->placement(), {}), source_(std::move(source)) {}
  Outputs run(Inputs, const CallOptions&) const override;
  bool runs_anywhere() const override { return false; }
  bool places_outputs() const override { return true; }
  std::shared_ptr<const Op> with(Placement, std::vector<Tensor>) const override;

 private:
  std::shared_ptr<const Op> source_;
};

}  // namespace tokenlearner
