// Note: [Few map values]
// The tokens of an image with one pixel and one token depend on a single map value. In this one sum rounding
// errors do not average out, and its terms may nearly cancel. So float32 cannot guarantee an error of at most
// twice PyTorch's. Since the work is tiny, images with up to kFewMapValues map values are computed in
// float64. The rule depends on the shape of an image and never on the batch.
#pragma once

#include "engine/token-learner/engine.hpp"

namespace tokenlearner {

inline constexpr int64_t kFewMapValues = 4;

/// True if x (B, C, H, W) is float32 and has few map values per image.
inline bool has_few_map_values(const TokenLearnerConfig& config, const Tensor& x) {
  return x.dtype == DType::float32 && config.num_output_tokens * x.shape[2] * x.shape[3] <= kFewMapValues;
}

}  // namespace tokenlearner
