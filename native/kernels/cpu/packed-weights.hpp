// W1, w2 and the biases as the fused kernels read them: packed once, when a model's parameters are set.
#pragma once

#include <memory>

#include "kernels/cpu/aligned-buffer.hpp"
#include "kernels/cpu/fused-kernels.hpp"
#include "kernels/status.hpp"

namespace tokenlearner::kernels {

/** Immutable after pack(), so any number of threads and runs may share one. */
class PackedWeights {
 public:
  /**
   * Copies the parameters for the kernels of `isa`; 16-bit ones are widened. `unsupported` when num_layers is
   * not 2. On anything but `ok` leaves `out` alone.
   */
  static Status pack(const WeightsView& weights, Isa isa, std::shared_ptr<const PackedWeights>& out) noexcept;

  Isa isa() const noexcept { return isa_; }
  std::int64_t channels() const noexcept { return channels_; }
  std::int64_t hidden() const noexcept { return hidden_; }
  std::int64_t tokens() const noexcept { return tokens_; }
  /** What the weights were widened to: float32, or float64. */
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
  /** One group: W1's panels, b1, w2, then b2 in a cache line of its own. */
  AlignedBuffer buffer_;
};

}  // namespace tokenlearner::kernels
