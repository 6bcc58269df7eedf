// torch.nn.ReLU. No parameters.

#include "engine/layers/layers.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

struct Settings {};

class ReluOp final : public ConfiguredOp<ReluOp, Settings> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(Inputs inputs, const CallOptions&) const override {
    return {aten::contiguous(aten::relu(only(inputs)))};
  }
  std::optional<int64_t> joined_rank(int64_t rank) const override { return rank; }
};

}  // namespace

std::shared_ptr<const Op> make_relu(const Config&, Placement placement, Parameters parameters) {
  return std::make_shared<ReluOp>(Settings{}, placement, std::move(parameters));
}

}  // namespace tokenlearner
