// Note: [Few map values]
// Tokens of an image with one pixel and one token rest on a single map value, a sum in which rounding errors
// do not average out and whose terms may nearly cancel. There float32 cannot promise twice PyTorch's error,
// and the work is nothing: up to kFewMapValues of them are computed in float64. The rule looks at the shape
// of an image and never at the batch.
#pragma once

#include "engine/aten.hpp"
#include "engine/token-learner/engine.hpp"

namespace tokenlearner {

inline constexpr int64_t kFewMapValues = 4;

/// Whether a float32 image (B, C, H, W) is one of those.
inline bool has_few_map_values(const TokenLearnerConfig& config, const Tensor& x) {
  return x.dtype == DType::kFloat32 && config.num_output_tokens * x.shape[2] * x.shape[3] <= kFewMapValues;
}

/// A result in float64, in float32.
inline TokensAndMaps narrowed(const TokensAndMaps& wide) {
  const Device device = wide.tokens.device();
  return {aten::to_copy(wide.tokens, DType::kFloat32, device),
          aten::to_copy(wide.maps, DType::kFloat32, device)};
}

}  // namespace tokenlearner
