// Checks of the arguments of the layers that pool tokens.
#pragma once

#include <string>
#include <vector>

#include "engine/error.hpp"
#include "engine/layers/images.hpp"
#include "engine/token-learner/engine.hpp"

namespace tokenlearner {

/// True if engines may read `count` elements of `dtype` from the parameter.
inline bool holds(const Tensor& parameter, double count, DType dtype) {
  return static_cast<double>(parameter.numel()) == count && parameter.dtype == dtype &&
         parameter.is_contiguous() &&
         static_cast<double>(parameter.storage.bytes()) >=
             (count + static_cast<double>(parameter.offset)) * static_cast<double>(item_size(dtype));
}

/// True if engines may read as many elements from each. Counts are in floating point, which cannot overflow.
inline bool hold(const std::vector<Tensor>& parameters, const std::vector<double>& counts, DType dtype) {
  bool right = parameters.size() == counts.size();
  for (std::size_t i = 0; right && i < counts.size(); ++i) right = holds(parameters[i], counts[i], dtype);
  return right;
}

/// The rule of the official layers: 'auto' means fused where it can run, otherwise libtorch. 'fused' never falls back silently: it
/// throws ERR_ENGINE_UNSUPPORTED with the reason. `reason` says why the fused engine cannot run; empty if it can.
inline bool takes_fused(const char* layer, const std::string& engine, const Placement& placement,
                        const std::string& reason) {
  if (engine == "fused" && !reason.empty()) {
    throw Error(ErrorCode::ERR_ENGINE_UNSUPPORTED, std::string("Engine 'fused' of ") + layer +
                                                       " cannot run in " + name_of(placement.dtype) + " on " +
                                                       placement.device.to_string() + ": " + reason +
                                                       "; engine 'auto' takes 'libtorch' here");
  }
  return engine != "libtorch" && reason.empty();
}

/// Throws ERR_DTYPE_MISMATCH.
inline void check_dtype(const Tensor& input, DType dtype, const char* layer) {
  if (input.dtype == dtype) return;
  throw Error(ErrorCode::ERR_DTYPE_MISMATCH, std::string("The ") + layer + " is in " + name_of(dtype) +
                                                 ", its input in " + name_of(input.dtype));
}

inline ForwardOptions forward_options(const CallOptions& options) {
  return {.return_attention = options.values.boolean("returnAttention", false),
          .tokens_first = options.values.boolean("tokensFirst", false),
          .call = &options};
}

/// The bytes of a layer's tokens, and of its maps if the call asks for them. Empty for an input with too few dimensions.
inline std::vector<std::size_t> token_bytes(const Dims& input, const CallOptions& options, int64_t channels,
                                            int64_t tokens, DType dtype) {
  const ImageOrder order = ImageOrder::of(options);
  if (input.size() < order.rank()) return {};
  const ImageCount count = count_images(input, order);
  const std::size_t values =
      static_cast<std::size_t>(count.images) * static_cast<std::size_t>(tokens) * item_size(dtype);
  std::vector<std::size_t> bytes{values * static_cast<std::size_t>(channels)};
  if (options.values.boolean("returnAttention", false))
    bytes.push_back(values * static_cast<std::size_t>(count.pixels));
  return bytes;
}

}  // namespace tokenlearner
