#include "engine/run/copy-op.hpp"

#include "engine/error.hpp"
#include "engine/memory/copy.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

Outputs CopyOp::run(Inputs inputs, const CallOptions& options) const {
  const Tensor& input = only(inputs);
  const auto [dtype, device] = placement();
  if (input.device().is_cuda() || device.is_cuda()) return {aten::to_copy(input, dtype, device)};
  Tensor output = options.result(0, input.shape, dtype);
  copy_into(output, input);
  return {output};
}

std::vector<std::size_t> CopyOp::result_bytes(std::span<const Dims> inputs, const CallOptions&) const {
  if (inputs.size() != 1 || placement().device.is_cuda()) return {};
  std::size_t bytes = item_size(placement().dtype);
  for (const int64_t size : inputs[0]) bytes *= static_cast<std::size_t>(size);
  return {bytes};
}

std::shared_ptr<const Op> CopyOp::with(Placement target, std::vector<Tensor>) const {
  return std::make_shared<CopyOp>(target);
}

Outputs ParametersOp::run(Inputs, const CallOptions&) const {
  Outputs outputs;
  for (const auto& source : sources_) {
    for (Tensor& parameter : source->host_parameters()) outputs.push_back(std::move(parameter));
  }
  return outputs;
}

std::shared_ptr<const Op> ParametersOp::with(Placement, std::vector<Tensor>) const {
  throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A copy of parameters has none of its own");
}

}  // namespace tokenlearner
