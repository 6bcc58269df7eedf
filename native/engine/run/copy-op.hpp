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

/// Copies the parameters of operators to the CPU, one after the other. It has no inputs.
class ParametersOp final : public Op {
 public:
  /// Precondition: there is at least one.
  explicit ParametersOp(std::vector<std::shared_ptr<const Op>> sources)
      : Op(sources.front()->placement(), {}), sources_(std::move(sources)) {}
  Outputs run(Inputs, const CallOptions&) const override;
  bool runs_anywhere() const override { return false; }
  bool places_outputs() const override { return true; }
  std::shared_ptr<const Op> with(Placement, std::vector<Tensor>) const override;

 private:
  std::vector<std::shared_ptr<const Op>> sources_;
};

}  // namespace tokenlearner
