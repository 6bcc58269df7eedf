#include "engine/ops/flatten.hpp"

#include "engine/aten.hpp"
#include "engine/error.hpp"

namespace tokenlearner {

Outputs FlattenOp::run(const Tensor& input, const RunOptions&) const {
  const int64_t dim = input.dim();
  const int64_t start = config().start_dim < 0 ? config().start_dim + dim : config().start_dim;
  const int64_t end = config().end_dim < 0 ? config().end_dim + dim : config().end_dim;
  if (start < 0 || end >= dim || start > end) {
    throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "Flatten cannot merge dimensions " +
                                                   std::to_string(config().start_dim) + " to " +
                                                   std::to_string(config().end_dim) + " of a tensor with " +
                                                   std::to_string(dim) + " dimensions");
  }
  Dims shape(input.shape.begin(), input.shape.begin() + start);
  int64_t merged = 1;
  for (int64_t i = start; i <= end; ++i) merged *= input.shape[static_cast<std::size_t>(i)];
  shape.push_back(merged);
  shape.insert(shape.end(), input.shape.begin() + end + 1, input.shape.end());
  return {reshaped(aten::contiguous(input), std::move(shape))};
}

}  // namespace tokenlearner
