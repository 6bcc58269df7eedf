#include "engine/ops/conv2d.hpp"

namespace tokenlearner {

Outputs Conv2dOp::run(const Tensor& input, const RunOptions&) const {
  return {aten::contiguous(aten::conv2d(input, parameter(0), optional_parameter(1), config()))};
}

}  // namespace tokenlearner
