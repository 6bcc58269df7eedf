// The parameters of norm-mlp-params.hpp in the layout of the kernels, and TokenLearner v1.1's. They are packed once,
// when a model's parameters are set.
#pragma once

#include <memory>

#include "kernels/cpu/aligned-buffer.hpp"
#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/norm-mlp-kernels.hpp"
#include "kernels/status.hpp"
#include "kernels/token-learner-v11-params.hpp"

namespace tokenlearner::kernels {

/** Immutable after pack(): any number of threads and runs may share one. */
class NormMlpWeights {
 public:
  /**
   * Copies the parameters for the kernels of `isa`, with LayerNorm's scale and shift folded in. Changes `out` only if it
   * returns `ok`.
   */
  static Status pack(const TokenLearnerV11View& view, Isa isa,
                     std::shared_ptr<const NormMlpWeights>& out) noexcept;

  Isa isa() const noexcept { return isa_; }
  /** The type of the packed weights: float32 or float64. */
  DType compute() const noexcept { return compute_; }
  const NormMlpLayout& layout() const noexcept { return layout_; }
  /** The value convolution, [group][channel][output], or null. */
  const void* value() const noexcept { return value_; }
  /** Multiply-adds of a forward, per pixel. The copies of a pixel count as some. */
  double work_per_pixel() const noexcept;

 private:
  NormMlpWeights(const NormMlpView& mlp, Isa isa);
  template <typename Compute>
  bool fill(const TokenLearnerV11View& view) noexcept;

  Isa isa_;
  DType compute_;
  NormMlpLayout layout_;
  const void* value_ = nullptr;
  AlignedBuffer buffer_;
};

}  // namespace tokenlearner::kernels
