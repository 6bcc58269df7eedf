#include "engine/ops/max-pool2d.hpp"

namespace tokenlearner {

Outputs MaxPool2dOp::run(const Tensor& input, const RunOptions&) const {
  return {aten::contiguous(aten::max_pool2d(input, config()))};
}

}  // namespace tokenlearner
