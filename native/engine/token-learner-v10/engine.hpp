#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/token-learner/engine.hpp"

namespace tokenlearner {

struct TokenLearnerV10Config {
  int64_t dim = 0;
  int64_t num_output_tokens = 8;
  /// "sum" or "mean".
  std::string pooling = "sum";
  double eps = 1e-6;
  /// "tanh" or "none", as GELU's option.
  std::string approximate = "tanh";
  /// "auto", "fused" or "libtorch".
  std::string engine = "auto";
  /// The fused CPU engine's threads for one forward. 0 means all.
  int intra_op_threads = 0;
  /// CUDA, float32: true if products may round their operands to TF32.
  bool allow_tf32 = false;
};

// Parameters: norm.weight (C), norm.bias (C), attention.0.weight (G, C, 3, 3), attention.2.weight, attention.4.weight and
// attention.6.weight (G, G, 3, 3).

/// The documented computation, literally, on libtorch's operators. Any device and dtype.
std::unique_ptr<TokenLearnerEngine> make_libtorch_v10_engine(const TokenLearnerV10Config& config,
                                                             const std::vector<Tensor>& parameters);

/// Our fused engine for the CPU.
std::unique_ptr<TokenLearnerEngine> make_fused_cpu_v10_engine(const TokenLearnerV10Config& config,
                                                              const std::vector<Tensor>& parameters);

/// Our fused engine for CUDA. Precondition: unsupported_reason_on_cuda() is empty.
std::unique_ptr<TokenLearnerEngine> make_fused_cuda_v10_engine(const TokenLearnerV10Config& config,
                                                               const std::vector<Tensor>& parameters);

}  // namespace tokenlearner
