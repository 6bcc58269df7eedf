// The fused CPU engine of TokenFuser (token-fuser-params.hpp). It reads the original once from memory, stores neither a hidden
// layer nor the weights of the pixels, and writes the output once.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernels/cpu/norm-mlp-weights.hpp"
#include "kernels/parallel.hpp"
#include "kernels/status.hpp"
#include "kernels/token-fuser-params.hpp"

namespace tokenlearner::kernels {

/** Immutable after pack(): any number of threads and runs may share one. */
class TokenFuserWeights {
 public:
  /** Copies the parameters for the kernels of `isa`. Changes `out` only if it returns `ok`. */
  static Status pack(const TokenFuserView& view, Isa isa,
                     std::shared_ptr<const TokenFuserWeights>& out) noexcept;

  const NormMlpWeights& mlp() const noexcept { return *mlp_; }
  const double* mix_weight() const noexcept { return mix_weight_.data(); }
  const double* mix_bias() const noexcept { return mix_bias_.data(); }
  bool has_norms() const noexcept { return !norm1_weight_.empty(); }
  const double* norm1_weight() const noexcept { return has_norms() ? norm1_weight_.data() : nullptr; }
  const double* norm1_bias() const noexcept { return norm1_bias_.data(); }
  const double* norm2_weight() const noexcept { return has_norms() ? norm2_weight_.data() : nullptr; }
  const double* norm2_bias() const noexcept { return norm2_bias_.data(); }
  /** Multiply-adds of a forward, per pixel; the copies of a pixel count as some; and per image, for its tokens. */
  double work_per_pixel() const noexcept { return mlp_->work_per_pixel(); }
  double work_per_image() const noexcept;

 private:
  TokenFuserWeights() = default;

  std::shared_ptr<const NormMlpWeights> mlp_;
  std::vector<double> mix_weight_, mix_bias_, norm1_weight_, norm1_bias_, norm2_weight_, norm2_bias_;
};

/**
 * Runs a list of forwards as one. Each has its own batch, height, width, strides and memory. `attention` may be null.
 *
 * Runs on the calling thread and on at most max_threads - 1 threads of `parallel`. Returns when done.
 *
 * The bits of an image's result depend only on the image, its tokens, the weights and the instruction set. They do not depend
 * on the list, the batch, the strides, max_threads or other work on the machine. All have one dtype, as in
 * token_learner_v11_forward().
 */
Status token_fuser_forward(std::span<const TokenFuserParams> list, const TokenFuserWeights& weights,
                           Parallel& parallel, int max_threads) noexcept;

}  // namespace tokenlearner::kernels
