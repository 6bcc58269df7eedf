// W1, w2 and the biases in the layout of the fused kernels. They are packed once, when a model's parameters
// are set.
#pragma once

#include <memory>

#include "kernels/cpu/aligned-buffer.hpp"
#include "kernels/cpu/fused-kernels.hpp"
#include "kernels/status.hpp"

namespace tokenlearner::kernels {

/** Immutable after pack(): any number of threads and runs may share one. */
class PackedWeights {
 public:
  /**
   * Copies the parameters for the kernels of `isa` and widens 16-bit ones. Returns `unsupported` if
   * num_layers is not 2. Changes `out` only if it returns `ok`.
   */
  static Status pack(const WeightsView& weights, Isa isa, std::shared_ptr<const PackedWeights>& out) noexcept;

  Isa isa() const noexcept { return isa_; }
  std::int64_t channels() const noexcept { return channels_; }
  std::int64_t hidden() const noexcept { return hidden_; }
  std::int64_t tokens() const noexcept { return tokens_; }
  /** The type of the packed weights: float32 or float64. */
  DType compute() const noexcept { return compute_; }
  std::size_t bytes() const noexcept { return buffer_.size(); }
  PackedGroup group(std::int64_t token) const noexcept;

 private:
  PackedWeights(const WeightsView& weights, Isa isa);
  template <typename Compute>
  bool fill(const WeightsView& weights) noexcept;

  Isa isa_;
  std::int64_t channels_;
  std::int64_t hidden_;
  std::int64_t tokens_;
  DType compute_;
  std::int64_t panel_rows_;
  /** hidden_ rounded up to whole panels. */
  std::int64_t padded_hidden_;
  /** Per group: W1's panels, b1, w2, then b2 on its own cache line. */
  AlignedBuffer buffer_;
};

}  // namespace tokenlearner::kernels
