#include "engine/op.hpp"

#include "engine/aten.hpp"
#include "engine/torch-abi.hpp"

namespace tokenlearner {

std::vector<Tensor> place(const std::vector<Tensor>& parameters, Placement placement) {
  std::vector<Tensor> placed;
  placed.reserve(parameters.size());
  for (const Tensor& parameter : parameters) {
    placed.push_back(aten::to_copy(parameter, placement.dtype, placement.device));
  }
  return placed;
}

Device device_for(const Op& op, Device input) { return op.runs_anywhere() ? input : op.placement().device; }

Outputs run_from_anywhere(const Op& op, const Tensor& input, const RunOptions& options) {
  const Device device = device_for(op, input.device());
  const TorchDeviceGuard guard(device);
  const bool elsewhere = input.device() != device;
  Outputs outputs = op.run(elsewhere ? aten::to_copy(input, input.dtype, device) : input, options);
  for (Tensor& output : outputs) {
    // A view of the input (Flatten) would tie the result to memory that the caller may free or write.
    const bool shared = output.storage.owner() == input.storage.owner();
    if (elsewhere || shared) output = aten::to_copy(output, output.dtype, input.device());
  }
  return outputs;
}

}  // namespace tokenlearner
