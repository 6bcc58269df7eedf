// A compiled PyTorch program. It has no parameters here: its constants come with its library. AotiOp::open() opens it.

#include <string>

#include "engine/aoti/aoti-op.hpp"
#include "engine/error.hpp"
#include "engine/layers/layers.hpp"

namespace tokenlearner {

namespace {

/// libtorch's dtype, the order of the dimensions in memory, and then symbol, min and max of each dimension.
AotiInputSpec parse_input(const Dims& numbers) {
  AotiInputSpec spec;
  const bool fits = !numbers.empty() && (numbers.size() - 1) % 4 == 0;
  spec.dtype = fits ? static_cast<DType>(numbers[0]) : DType::float32;
  if (!fits || item_size(spec.dtype) == 0)
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected the description of a program's input");
  const std::size_t rank = (numbers.size() - 1) / 4;
  std::vector<bool> seen(rank, false);
  for (std::size_t d = 0; d < rank; ++d) {
    const auto place = static_cast<std::size_t>(numbers[1 + d]);
    if (place >= rank || seen[place])
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected each dimension of a program's input once");
    seen[place] = true;
    spec.order.push_back(place);
    const std::size_t at = 1 + rank + 3 * d;
    spec.dimensions.push_back({numbers[at], numbers[at + 1], numbers[at + 2]});
  }
  return spec;
}

}  // namespace

std::shared_ptr<const Op> make_aoti(const Config& config, Placement placement, Parameters) {
  AotiSource source{config.string("library"), config.string("folder"), config.string("weights"),
                    placement.device, static_cast<int>(config.integer("instances"))};
  AotiSignature signature;
  for (int64_t i = 0; i < config.integer("inputs"); ++i)
    signature.inputs.push_back(parse_input(config.integers(("input" + std::to_string(i)).c_str())));
  if (config.has("joinedOutputs")) {
    for (const int64_t joined : config.integers("joinedOutputs"))
      signature.joined_outputs.push_back(joined != 0);
  }
  return std::make_shared<AotiOp>(std::move(source), std::move(signature), placement);
}

}  // namespace tokenlearner
