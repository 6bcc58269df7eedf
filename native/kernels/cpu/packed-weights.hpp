// The weights and biases in the layout of the fused kernels. They are packed once, when a model's parameters
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
  /** Copies the parameters for the kernels of `isa` and widens 16-bit ones. Changes `out` only if it returns `ok`. */
  static Status pack(const WeightsView& weights, Isa isa, std::shared_ptr<const PackedWeights>& out) noexcept;
  /** For these kernels of `isa`, which take pixels of weights.dtype. */
  static Status pack(const WeightsView& weights, Isa isa, const TypedKernels& kernels,
                     std::shared_ptr<const PackedWeights>& out) noexcept;

  Isa isa() const noexcept { return isa_; }
  /** The kernels for pixels of `dtype`; null if there are none for these weights. */
  const TypedKernels* kernels(DType dtype) const noexcept;
  std::int64_t channels() const noexcept { return channels_; }
  std::int64_t hidden() const noexcept { return hidden_; }
  std::int64_t tokens() const noexcept { return tokens_; }
  int num_layers() const noexcept { return num_layers_; }
  /**
   * Multiply-adds of a forward, per pixel. Faster ones count as a part of one, the copies of a pixel as some.
   */
  double work_per_pixel() const noexcept;
  /** The type of the packed weights: float32 or float64. */
  DType compute() const noexcept { return compute_; }

  /**
   * The part of a layer that belongs to one token. The last of several layers has one row: w2 and b2. A single layer is
   * packed as one matrix with a row for each token; its `token` is 0.
   */
  PackedLayer layer(std::int64_t token, int index) const noexcept;

 private:
  PackedWeights(const WeightsView& weights, Isa isa, const TypedKernels& kernels);
  bool has_pairs() const noexcept { return kernels_.pixel_rows(2) != 2; }
  /** Elements of a row of a layer: the rows of its packed inputs. */
  std::int64_t inputs(int index) const noexcept {
    return index == 0 ? kernels_.pixel_rows(channels_) : hidden_;
  }
  /** Elements from the start of a group to a layer of it, or to the next group if `index` is num_layers_. */
  std::int64_t offset(int index) const noexcept;
  template <typename Compute>
  bool fill(const WeightsView& weights) noexcept;
  template <typename Compute>
  void fill_panels(const WeightsView& weights, int index, std::int64_t group, Compute* out) noexcept;
  void fill_pairs(const BFloat16* rows, char* out) noexcept;

  Isa isa_;
  const TypedKernels& kernels_;
  std::int64_t channels_;
  /** 0 for a single layer. */
  std::int64_t hidden_;
  std::int64_t tokens_;
  int num_layers_;
  DType compute_;
  /** The tokens, or 1 for a single layer. */
  std::int64_t groups_;
  /** Rows of a group's panels: K, or G for a single layer. */
  std::int64_t rows_;
  /** rows_ rounded up to whole panels of any layer. */
  std::int64_t padded_rows_;
  /** Per group: the panels and the bias of each layer. The last of several layers has w2, and b2 on its own cache line. */
  AlignedBuffer buffer_;
};

}  // namespace tokenlearner::kernels
