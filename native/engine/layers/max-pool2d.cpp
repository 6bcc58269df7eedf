// torch.nn.MaxPool2d. No parameters.

#include "engine/layers/layers.hpp"
#include "engine/torch/abi.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

struct Settings {
  Dims kernel;
  Dims stride;
  Dims padding;
  Dims dilation;
  bool ceil_mode = false;
};

class MaxPool2dOp final : public ConfiguredOp<MaxPool2dOp, Settings> {
 public:
  using ConfiguredOp::ConfiguredOp;
  Outputs run(Inputs inputs, const CallOptions&) const override {
    const Tensor pooled = TorchCall("aten::max_pool2d", "")
                              .tensor(TorchTensor::view(only(inputs)))
                              .ints(settings().kernel)
                              .ints(settings().stride)
                              .ints(settings().padding)
                              .ints(settings().dilation)
                              .boolean(settings().ceil_mode)
                              .run()
                              .to_tensor();
    return {aten::contiguous(pooled)};
  }
  std::optional<int64_t> joined_rank(int64_t rank) const override {
    return rank == 4 ? std::optional(rank) : std::nullopt;
  }
};

}  // namespace

std::shared_ptr<const Op> make_max_pool2d(const Config& config, Placement placement, Parameters parameters) {
  Settings settings{config.integers("kernel"), config.integers("stride"), config.integers("padding"),
                    config.integers("dilation"), config.boolean("ceilMode")};
  return std::make_shared<MaxPool2dOp>(std::move(settings), placement, std::move(parameters));
}

}  // namespace tokenlearner
