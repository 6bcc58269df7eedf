#include "engine/run/op.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/cuda/staging.hpp"
#include "engine/cuda/stream.hpp"
#include "engine/error.hpp"
#include "engine/torch/abi.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

Tensor CallOptions::result(std::size_t i, Dims shape, DType dtype) const {
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.strides = contiguous_strides(shape);
  tensor.shape = std::move(shape);
  const std::size_t bytes = tensor.byte_length();
  const bool given = i < results.size() && results[i].bytes() == bytes;
  tensor.storage = given ? results[i] : Storage::allocate(bytes, false);
  return tensor;
}

std::size_t byte_length(Inputs inputs) {
  std::size_t bytes = 0;
  for (const Tensor& input : inputs) bytes += input.byte_length();
  return bytes;
}

const Tensor& only(Inputs inputs) {
  if (inputs.size() != 1) {
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE,
                "Expected one input but received " + std::to_string(inputs.size()));
  }
  return inputs.front();
}

namespace {

/// The GPU that takes part in a copy, or the CPU.
Device gpu_of(Device source, Device target) { return target.is_cuda() ? target : source; }

}  // namespace

std::vector<Tensor> place(const std::vector<Tensor>& parameters, Placement placement) {
  std::vector<Tensor> placed;
  if (parameters.empty()) return placed;
  placed.reserve(parameters.size());
  const Device gpu = gpu_of(parameters.front().device(), placement.device);
  guarded_run(gpu, [&] {
    for (const Tensor& parameter : parameters)
      placed.push_back(aten::to_copy(parameter, placement.dtype, placement.device));
    synchronize(gpu);
  });
  return placed;
}

Tensor completed_copy(const Tensor& tensor, DType dtype, Device device) {
  return place({tensor}, {dtype, device}).front();
}

std::vector<Tensor> Op::host_parameters() const {
  return place(parameters_, {placement_.dtype, Device::cpu()});
}

std::shared_ptr<const Op> Op::with_values(const std::vector<Tensor>& values) const {
  if (values.size() != parameters_.size()) {
    throw Error(ErrorCode::ERR_STATE_DICT, "Expected " + std::to_string(parameters_.size()) + " parameters");
  }
  return with(placement_, place(values, placement_));
}

Device device_for(const Op& op, Device input) { return op.runs_anywhere() ? input : op.placement().device; }

Tensor moved(const Tensor& input, Device device) {
  if (input.device() == device) return input;
  return input.device().is_cpu() ? upload(input, device) : aten::to_copy(input, input.dtype, device);
}

namespace {

/// Moves an output to the device of the first input. The result never shares memory with an input.
Tensor deliver(const Tensor& output, Inputs inputs) {
  const Device target = inputs.front().device();
  if (output.device().is_cuda() && target.is_cpu()) return download(output);
  // A view of an input (Flatten) would use memory that the caller may free or overwrite.
  const bool shared = std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& input) {
    return output.storage.owner() == input.storage.owner();
  });
  if (shared || output.device() != target) return aten::to_copy(output, output.dtype, target);
  return output;
}

Outputs run_guarded(const Op& op, Device device, Inputs inputs, const CallOptions& options) {
  const TorchDeviceGuard guard(device);
  std::vector<Tensor> local;
  local.reserve(inputs.size());
  for (const Tensor& input : inputs) local.push_back(moved(input, device));
  Outputs outputs = op.run(local, options);
  for (Tensor& output : outputs) {
    // A graph may end on a different device than it started on.
    const Device made_on = output.device();
    if (!op.places_outputs()) output = deliver(output, inputs);
    if (made_on != device) guarded_run(made_on, [&] { synchronize(made_on); });
  }
  synchronize(device);
  return outputs;
}

/// Waits for the stream after a failure: kernels that were queued earlier may still read the inputs and the
/// parameters, and the caller frees them. If waiting fails too, the device is broken, regardless of
/// libtorch's own error (before 2.13 it reports none).
void drain(Device device) noexcept {
  try {
    synchronize(device);
  } catch (const Error&) {
    mark_lost(device);
  }
}

}  // namespace

void fail_run(Device device, const Error& error) {
  const auto* const lost = dynamic_cast<const DeviceLost*>(&error);
  if (error.code() == ErrorCode::ERR_DEVICE_LOST) mark_lost(lost != nullptr ? lost->device() : device);
  drain(device);
  if (is_lost(device)) throw DeviceLost(device, error.what());
}

Outputs run_on(const Op& op, Device device, Inputs inputs, const CallOptions& options) {
  return guarded_run(device, [&] { return run_guarded(op, device, inputs, options); });
}

}  // namespace tokenlearner
