#include "engine/ops/layer-norm.hpp"

#include "engine/aten.hpp"

namespace tokenlearner {

Outputs LayerNormOp::run(const Tensor& input, const RunOptions&) const {
  return {aten::contiguous(aten::layer_norm(input, config().normalized_shape, optional_parameter(0),
                                            optional_parameter(1), config().eps))};
}

}  // namespace tokenlearner
