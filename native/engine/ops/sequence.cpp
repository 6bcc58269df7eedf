#include "engine/ops/sequence.hpp"

#include <algorithm>

#include "engine/aten.hpp"
#include "engine/error.hpp"
#include "engine/torch-abi.hpp"

namespace tokenlearner {

namespace {

Placement placement_of(const std::vector<std::shared_ptr<const Op>>& ops) {
  for (const auto& op : ops) {
    if (!op->runs_anywhere()) return op->placement();
  }
  return ops.front()->placement();
}

}  // namespace

SequenceOp::SequenceOp(std::vector<std::shared_ptr<const Op>> ops)
    : Op(placement_of(ops), {}), ops_(std::move(ops)) {}

bool SequenceOp::runs_anywhere() const {
  return std::all_of(ops_.begin(), ops_.end(), [](const auto& op) { return op->runs_anywhere(); });
}

Outputs SequenceOp::run(const Tensor& input, const RunOptions&) const {
  // Options speak of a TokenLearner that is called directly: inside a sequence each op runs with its
  // defaults.
  const RunOptions defaults;
  Tensor current = input;
  for (const auto& op : ops_) {
    const Device device = device_for(*op, current.device());
    const TorchDeviceGuard guard(device);
    if (current.device() != device) current = aten::to_copy(current, current.dtype, device);
    current = op->run(current, defaults).front();
  }
  return {current};
}

std::shared_ptr<const Op> SequenceOp::with(Placement, std::vector<Tensor>) const {
  throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A sequence has no parameters of its own");
}

}  // namespace tokenlearner
