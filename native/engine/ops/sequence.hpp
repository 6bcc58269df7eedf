#pragma once

#include "engine/op.hpp"

namespace tokenlearner {

/// Operators in order, as one: each moves its input to its own device where that differs. Placed where the
/// first of them that has parameters is.
class SequenceOp final : public Op {
 public:
  /// Precondition: not empty.
  explicit SequenceOp(std::vector<std::shared_ptr<const Op>> ops);
  Outputs run(const Tensor& input, const RunOptions& options) const override;
  bool runs_anywhere() const override;
  std::shared_ptr<const Op> with(Placement placement, std::vector<Tensor> parameters) const override;

 private:
  std::vector<std::shared_ptr<const Op>> ops_;
};

}  // namespace tokenlearner
