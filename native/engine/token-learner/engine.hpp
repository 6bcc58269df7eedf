#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/run/op.hpp"

namespace tokenlearner {

/// The options of one forward.
struct ForwardOptions {
  /// Also return the attention maps.
  bool return_attention = false;
  /// (..., G, C) instead of (..., C, G).
  bool tokens_first = false;
  /// See CallOptions::result().
  const CallOptions* call = nullptr;

  bool runs_inline() const { return call != nullptr && call->runs_inline; }

  Tensor result(std::size_t i, Dims shape, DType dtype) const {
    return call != nullptr ? call->result(i, std::move(shape), dtype)
                           : Tensor::empty(std::move(shape), dtype);
  }
};

struct TokenLearnerConfig {
  int64_t dim = 0;
  int64_t ff_mult = 2;
  int64_t num_output_tokens = 8;
  /// 1, 2 or more; see "The layer" in ARCHITECTURE.md.
  int64_t num_layers = 2;
  /// "auto", "fused" or "grouped-conv".
  std::string engine = "auto";
  /// The fused CPU engine's threads for one forward. 0 means all.
  int intra_op_threads = 0;
  /// CUDA, float32: true if products may round their operands to TF32.
  bool allow_tf32 = false;

  int64_t hidden() const { return dim * ff_mult; }
};

/// Tokens (B, C, G), or (B, G, C) with ForwardOptions::tokens_first, and maps (B, G, H, W).
struct TokensAndMaps {
  Tensor tokens;
  Tensor maps;
};

/// The images (B, C, H, W) of one request of a list, and its options.
struct ListedImages {
  Tensor x;
  const ForwardOptions* options;
};

/// An engine is one way to compute a TokenLearner on one device. Immutable. Any thread.
class TokenLearnerEngine {
 public:
  virtual ~TokenLearnerEngine() = default;

  /// x is (B, C, H, W) with any non-negative strides. B may be 0. The results are contiguous and do not share
  /// memory with x. The maps have x's dtype if return_attention is set; otherwise the caller must not use
  /// them.
  virtual TokensAndMaps run(const Tensor& x, const ForwardOptions& options) const = 0;

  /// Runs several requests with equal options as one. H and W may differ; the images may be on any device. The
  /// results may be views of common memory. The default joins the images of each size, and runs one size after
  /// the other without waiting in between.
  virtual std::vector<TokensAndMaps> run_list(std::span<const ListedImages> list, Device device) const;

  /// True if a run on this number of elements of x takes less time than handing it to another thread.
  virtual bool runs_inline(int64_t) const { return false; }
};

/// The documented computation, literally, with libtorch's grouped convolutions. Any device, dtype and number
/// of layers.
std::unique_ptr<TokenLearnerEngine> make_grouped_conv_engine(const TokenLearnerConfig& config,
                                                             const std::vector<Tensor>& parameters);

/// Our fused engine for the CPU: it repeats nothing and never stores the whole of a hidden layer. Any number of
/// layers.
std::unique_ptr<TokenLearnerEngine> make_fused_cpu_engine(const TokenLearnerConfig& config,
                                                          const std::vector<Tensor>& parameters);

/// The reason why our CUDA kernels cannot compute two layers of that dtype on that device. Empty if they can.
std::string unsupported_reason_on_cuda(DType dtype, Device device);

/// Our fused engine for CUDA. Precondition: unsupported_reason_on_cuda() is empty.
std::unique_ptr<TokenLearnerEngine> make_fused_cuda_engine(const TokenLearnerConfig& config,
                                                           const std::vector<Tensor>& parameters);

}  // namespace tokenlearner
