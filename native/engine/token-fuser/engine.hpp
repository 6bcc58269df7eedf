#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/token-learner/engine.hpp"

namespace tokenlearner {

struct TokenFuserConfig {
  int64_t dim = 0;
  int64_t num_tokens = 8;
  int64_t bottleneck_dim = 64;
  /// LayerNorm of the tokens, before and after the mix.
  bool use_normalization = true;
  double eps = 1e-6;
  /// "tanh" or "none", as GELU's option.
  std::string approximate = "tanh";
  /// "auto", "fused" or "libtorch".
  std::string engine = "auto";
  /// The fused CPU engine's threads for one forward. 0 means all.
  int intra_op_threads = 0;
  /// CUDA, float32: true if products may round their operands to TF32.
  bool allow_tf32 = false;

  /// The parameters that come before mix.weight.
  std::size_t first_mix() const { return use_normalization ? 4 : 0; }
};

// Parameters: with normalization norm1.weight, norm1.bias, norm2.weight, norm2.bias (C each); mix.weight (G, G), mix.bias (G);
// norm.weight, norm.bias (C); mlp.0.weight (D, C), mlp.0.bias (D), mlp.2.weight (G, D), mlp.2.bias (G).

/// The output, (B, C, H, W), or (B, H, W, C) for channels last, and the weights of the pixels, (B, G, H, W).
struct OutputAndMaps {
  Tensor output;
  Tensor maps;
};

/// An engine is one way to compute a TokenFuser on one device. Immutable. Any thread.
class TokenFuserEngine {
 public:
  virtual ~TokenFuserEngine() = default;

  /// tokens is (B, C, G), original (B, C, H, W), with any non-negative strides. The results are contiguous and share no memory
  /// with them. The maps are there if return_attention is set. `tokens_first` does not matter.
  virtual OutputAndMaps run(const Tensor& tokens, const Tensor& original, bool channels_last,
                            const ForwardOptions& options) const = 0;

  /// True if a run on this number of elements of the original takes less time than handing it to another thread.
  virtual bool runs_inline(int64_t) const { return false; }
};

/// The documented computation, literally, on libtorch's operators. Any device and dtype.
std::unique_ptr<TokenFuserEngine> make_libtorch_fuser_engine(const TokenFuserConfig& config,
                                                             const std::vector<Tensor>& parameters);

/// Our fused engine for the CPU: it reads the original once and stores no hidden layer.
std::unique_ptr<TokenFuserEngine> make_fused_cpu_fuser_engine(const TokenFuserConfig& config,
                                                              const std::vector<Tensor>& parameters);

/// Our fused engine for CUDA: the same. Precondition: unsupported_reason_on_cuda() is empty.
std::unique_ptr<TokenFuserEngine> make_fused_cuda_fuser_engine(const TokenFuserConfig& config,
                                                               const std::vector<Tensor>& parameters);

}  // namespace tokenlearner
