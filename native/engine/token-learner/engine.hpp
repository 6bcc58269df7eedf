#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/op.hpp"

namespace tokenlearner {

struct TokenLearnerConfig {
  int64_t dim = 0;
  int64_t ff_mult = 2;
  int64_t num_output_tokens = 8;
  /// 1, 2 or more; see DESIGN of the layer in ARCHITECTURE.md.
  int64_t num_layers = 2;
  /// "auto", "fused" or "grouped-conv".
  std::string engine = "auto";
  /// Threads of the fused CPU engine for one forward; 0 takes them all.
  int intra_op_threads = 0;
  /// CUDA, float32: whether products may round their operands to TF32.
  bool allow_tf32 = false;

  int64_t hidden() const { return dim * ff_mult; }
};

/// Tokens (B, C, G), or (B, G, C) for RunOptions::tokens_first; maps (B, G, H, W).
struct TokensAndMaps {
  Tensor tokens;
  Tensor maps;
};

/// One way to compute a TokenLearner on one device. Immutable; any thread.
class TokenLearnerEngine {
 public:
  virtual ~TokenLearnerEngine() = default;

  /// x is (B, C, H, W) with any non-negative strides; B may be 0. Results are contiguous and share nothing
  /// with x. Maps are in x's dtype if they are asked for, else of no use to the caller.
  virtual TokensAndMaps run(const Tensor& x, const RunOptions& options) const = 0;

  /// Whether a run on so many elements of x takes less time than handing it to another thread would.
  virtual bool is_brief(int64_t) const { return false; }
};

/// The documented computation, literally, on libtorch's grouped convolutions. Any device, dtype and number of
/// layers.
std::unique_ptr<TokenLearnerEngine> make_grouped_conv_engine(const TokenLearnerConfig& config,
                                                             const std::vector<Tensor>& parameters);

/// Ours, for the CPU: nothing is repeated and the hidden layer never reaches memory. Two layers only.
std::unique_ptr<TokenLearnerEngine> make_fused_cpu_engine(const TokenLearnerConfig& config,
                                                          const std::vector<Tensor>& parameters);

/// Why our CUDA kernels do not serve two layers of that dtype on that device; empty where they do.
std::string hindrance_on_cuda(DType dtype, Device device);

/// Ours, for CUDA. Precondition: nothing hinders it.
std::unique_ptr<TokenLearnerEngine> make_fused_cuda_engine(const TokenLearnerConfig& config,
                                                           const std::vector<Tensor>& parameters);

}  // namespace tokenlearner
