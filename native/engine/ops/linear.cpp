#include "engine/ops/linear.hpp"

#include "engine/aten.hpp"

namespace tokenlearner {

Outputs LinearOp::run(const Tensor& input, const RunOptions&) const {
  return {aten::contiguous(aten::linear(input, parameter(0), optional_parameter(1)))};
}

}  // namespace tokenlearner
