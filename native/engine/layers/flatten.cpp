// torch.nn.Flatten: dimensions [startDim, endDim] become one. Negative numbers count from the end. No
// parameters.

#include <string>

#include "engine/error.hpp"
#include "engine/layers/layers.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

struct Settings {
  int64_t start_dim = 1;
  int64_t end_dim = -1;
};

class FlattenOp final : public ConfiguredOp<FlattenOp, Settings> {
 public:
  using ConfiguredOp::ConfiguredOp;

  Outputs run(Inputs inputs, const CallOptions&) const override {
    const Tensor& input = only(inputs);
    return {reshaped(aten::contiguous(input), flattened(input.shape))};
  }

  /// Only if axis 0 stays as it is.
  std::optional<int64_t> joined_rank(int64_t rank) const override {
    const int64_t start = settings().start_dim + (settings().start_dim < 0 ? rank : 0);
    const int64_t end = settings().end_dim + (settings().end_dim < 0 ? rank : 0);
    if (start < 1 || end >= rank || start > end) return std::nullopt;
    return rank - (end - start);
  }

 private:
  Dims flattened(const Dims& shape) const {
    const auto dim = static_cast<int64_t>(shape.size());
    const auto [start_dim, end_dim] = settings();
    const int64_t start = start_dim < 0 ? start_dim + dim : start_dim;
    const int64_t end = end_dim < 0 ? end_dim + dim : end_dim;
    if (start < 0 || end >= dim || start > end) {
      throw Error(ErrorCode::ERR_SHAPE_MISMATCH,
                  "Flatten cannot merge dimensions " + std::to_string(start_dim) + " to " +
                      std::to_string(end_dim) + " of a tensor with " + std::to_string(dim) + " dimensions");
    }
    Dims result(shape.begin(), shape.begin() + start);
    int64_t merged = 1;
    for (int64_t i = start; i <= end; ++i) merged *= shape[static_cast<std::size_t>(i)];
    result.push_back(merged);
    result.insert(result.end(), shape.begin() + end + 1, shape.end());
    return result;
  }
};

}  // namespace

std::shared_ptr<const Op> make_flatten(const Config& config, Placement placement, Parameters parameters) {
  Settings settings{config.integer("startDim"), config.integer("endDim")};
  return std::make_shared<FlattenOp>(settings, placement, std::move(parameters));
}

}  // namespace tokenlearner
