// The fused CPU engine of TokenLearner v1.0 (token-learner-v10-params.hpp). It reads x twice: for the maps, and to pool it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernels/cpu/norm-mlp-weights.hpp"
#include "kernels/parallel.hpp"
#include "kernels/status.hpp"
#include "kernels/token-learner-v10-params.hpp"

namespace tokenlearner::kernels {

/** Immutable after pack(): any number of threads and runs may share one. */
class TokenLearnerV10Weights {
 public:
  /** Copies the parameters for the kernels of `isa`. Changes `out` only if it returns `ok`. */
  static Status pack(const TokenLearnerV10View& view, Isa isa,
                     std::shared_ptr<const TokenLearnerV10Weights>& out) noexcept;

  /** LayerNorm and the first convolution: nine times G rows, tap by tap. */
  const NormMlpWeights& first() const noexcept { return *first_; }
  std::int64_t tokens() const noexcept { return tokens_; }
  Activation activation() const noexcept { return activation_; }
  bool takes_mean() const noexcept { return takes_mean_; }
  /** The packed weights of convolution `i`, from 1 to 3, as PlanesTile has them. */
  const void* convolution(int i) const noexcept {
    const std::size_t offset = static_cast<std::size_t>(i - 1) * convolution_size_;
    return wide_.empty() ? static_cast<const void*>(narrow_.data() + offset) : wide_.data() + offset;
  }
  /** Multiply-adds of a forward, per pixel. The copies of a pixel count as some. */
  double work_per_pixel() const noexcept;

 private:
  TokenLearnerV10Weights() = default;
  template <typename T>
  void fill(const TokenLearnerV10View& view, std::vector<T>& to);

  std::shared_ptr<const NormMlpWeights> first_;
  std::int64_t tokens_ = 0;
  Activation activation_ = Activation::gelu_tanh;
  bool takes_mean_ = false;
  std::size_t convolution_size_ = 0;
  /** One of them is empty. */
  std::vector<float> narrow_;
  std::vector<double> wide_;
};

/**
 * Runs a list of forwards as one. Each has its own batch, height, width, strides and memory. `attention` may be null.
 *
 * Runs on the calling thread and on at most max_threads - 1 threads of `parallel`. Returns when done.
 *
 * The bits of an image's result depend only on the image, the weights and the instruction set. They do not depend on the list,
 * the batch, the strides, max_threads or other work on the machine. All have one dtype, as in token_learner_v11_forward().
 */
Status token_learner_v10_forward(std::span<const ForwardParams> list, const TokenLearnerV10Weights& weights,
                                 Parallel& parallel, int max_threads) noexcept;

}  // namespace tokenlearner::kernels
