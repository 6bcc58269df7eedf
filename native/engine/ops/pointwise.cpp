#include "engine/ops/pointwise.hpp"

#include "engine/aten.hpp"

namespace tokenlearner {

Outputs GeluOp::run(const Tensor& input, const RunOptions&) const {
  return {aten::contiguous(aten::gelu(input, config().approximate))};
}

Outputs ReluOp::run(const Tensor& input, const RunOptions&) const {
  return {aten::contiguous(aten::relu(input))};
}

}  // namespace tokenlearner
