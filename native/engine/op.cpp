#include "engine/op.hpp"

#include "engine/aten.hpp"
#include "engine/cuda-stream.hpp"
#include "engine/error.hpp"
#include "engine/staging.hpp"
#include "engine/torch-abi.hpp"

namespace tokenlearner {

Tensor RunOptions::result(std::size_t i, Dims shape, DType dtype) const {
  Tensor tensor;
  tensor.dtype = dtype;
  tensor.strides = contiguous_strides(shape);
  tensor.shape = std::move(shape);
  const auto bytes = static_cast<std::size_t>(tensor.numel()) * item_size(dtype);
  const bool given = i < results.size() && results[i].bytes() == bytes;
  tensor.storage = given ? results[i] : Storage::allocate(bytes, false);
  return tensor;
}

std::vector<Tensor> place(const std::vector<Tensor>& parameters, Placement placement) {
  std::vector<Tensor> placed;
  placed.reserve(parameters.size());
  for (const Tensor& parameter : parameters) {
    placed.push_back(aten::to_copy(parameter, placement.dtype, placement.device));
  }
  // Other threads will read them on streams of their own.
  if (!placed.empty()) synchronize(placement.device);
  return placed;
}

Device device_for(const Op& op, Device input) { return op.runs_anywhere() ? input : op.placement().device; }

namespace {

/// Brings an output to where the input is, in memory that is not the input's.
Tensor delivered(const Tensor& output, const Tensor& input) {
  if (output.device().is_cuda() && input.device().is_cpu()) return download(output);
  // A view of the input (Flatten) would tie the result to memory that the caller may free or write.
  const bool shared = output.storage.owner() == input.storage.owner();
  if (shared || output.device() != input.device()) return aten::to_copy(output, output.dtype, input.device());
  return output;
}

Outputs run_on(const Op& op, Device device, const Tensor& input, const RunOptions& options) {
  const TorchDeviceGuard guard(device);
  Tensor local = input;
  if (input.device() != device) {
    local = input.device().is_cpu() ? upload(input, device) : aten::to_copy(input, input.dtype, device);
  }
  Outputs outputs = op.run(local, options);
  for (Tensor& output : outputs) {
    // A sequence may end on another device than it begins on.
    const Device made_on = output.device();
    output = delivered(output, input);
    if (made_on != device) synchronize(made_on);
  }
  synchronize(device);
  return outputs;
}

/// After a failure: what was queued before it may still read the input and the parameters, which the caller
/// gives back. A stream that cannot even be waited for is that of a broken device, whatever libtorch says of
/// it; before 2.13 it says nothing.
void drain(Device device) noexcept {
  try {
    synchronize(device);
  } catch (const Error&) {
    mark_lost(device);
  }
}

}  // namespace

Outputs run_from_anywhere(const Op& op, const Tensor& input, const RunOptions& options) {
  const Device device = device_for(op, input.device());
  check_not_lost(device);
  try {
    return run_on(op, device, input, options);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::ERR_DEVICE_LOST) mark_lost(device);
    drain(device);
    if (is_lost(device)) throw Error(ErrorCode::ERR_DEVICE_LOST, error.what());
    throw;
  }
}

}  // namespace tokenlearner
