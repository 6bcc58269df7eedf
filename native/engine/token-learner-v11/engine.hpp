#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/token-learner/engine.hpp"

namespace tokenlearner {

struct TokenLearnerV11Config {
  int64_t dim = 0;
  int64_t num_output_tokens = 8;
  /// D of variant 'd'.
  int64_t bottleneck_dim = 64;
  /// Of the convolutions of variants 'a' and 'b'.
  int64_t groups = 1;
  double eps = 1e-6;
  /// "tanh" or "none", as GELU's option.
  std::string approximate = "tanh";
  /// "a", "b" or "d".
  std::string variant = "d";
  /// "auto", "fused" or "libtorch".
  std::string engine = "auto";
  /// The fused CPU engine's threads for one forward. 0 means all.
  int intra_op_threads = 0;
  /// CUDA, float32: true if products may round their operands to TF32.
  bool allow_tf32 = false;

  /// Variants a and b have two convolutions in place of the perceptron, and one for the values.
  bool has_value() const { return variant != "d"; }
  int64_t hidden() const { return has_value() ? dim : bottleneck_dim; }
  /// GELU's form between the two products; "" if there is none.
  std::string activation() const { return variant == "a" ? "" : approximate; }
};

// Parameters: norm.weight (C), norm.bias (C), then for variant d mlp.0.weight (D, C), mlp.0.bias (D), mlp.2.weight (G, D),
// mlp.2.bias (G); for a and b the convolutions' weights (C, C / groups, 1, 1), (G, C, 1, 1), and of the values (C, C /
// groups, 1, 1).

/// The documented computation, literally, on libtorch's operators. Any device and dtype.
std::unique_ptr<TokenLearnerEngine> make_libtorch_v11_engine(const TokenLearnerV11Config& config,
                                                             const std::vector<Tensor>& parameters);

/// Our fused engine for the CPU: it reads x once and stores no hidden layer.
std::unique_ptr<TokenLearnerEngine> make_fused_cpu_v11_engine(const TokenLearnerV11Config& config,
                                                              const std::vector<Tensor>& parameters);

/// Our fused engine for CUDA: the same. Preconditions: unsupported_reason_on_cuda() is empty, variant 'd'.
std::unique_ptr<TokenLearnerEngine> make_fused_cuda_v11_engine(const TokenLearnerV11Config& config,
                                                               const std::vector<Tensor>& parameters);

}  // namespace tokenlearner
