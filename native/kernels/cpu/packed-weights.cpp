#include "kernels/cpu/packed-weights.hpp"

#include <algorithm>
#include <new>

#include "kernels/cpu/validate.hpp"

namespace tokenlearner::kernels {
namespace {

/**
 * Offsets in elements from a group's W1 to its b1, w2 and b2, and to the next group. Each part starts on a
 * cache line.
 */
struct GroupLayout {
  std::int64_t b1;
  std::int64_t w2;
  std::int64_t b2;
  std::int64_t size;
};

GroupLayout layout_of(std::int64_t channels, std::int64_t padded_hidden) {
  constexpr std::int64_t kLine = 16;
  const auto round_up = [](std::int64_t n) { return (n + kLine - 1) / kLine * kLine; };
  GroupLayout layout{};
  layout.b1 = round_up(channels * padded_hidden);
  layout.w2 = layout.b1 + round_up(padded_hidden);
  layout.b2 = layout.w2 + round_up(padded_hidden);
  layout.size = layout.b2 + kLine;
  return layout;
}

template <typename Compute>
Compute load(const void* base, DType dtype, std::int64_t index) {
  switch (dtype) {
    case DType::float64:
      return static_cast<Compute>(static_cast<const double*>(base)[index]);
    case DType::float16:
      return widen(static_cast<const Half*>(base)[index]);
    case DType::bfloat16:
      return widen(static_cast<const BFloat16*>(base)[index]);
    default:
      return static_cast<const float*>(base)[index];
  }
}

}  // namespace

const IsaKernels& kernels_of(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return avx512_kernels();
  if (isa == Isa::avx2) return avx2_kernels();
#endif
  static_cast<void>(isa);
#if defined(__aarch64__)
  return neon_kernels();
#else
  return baseline_kernels();
#endif
}

PackedWeights::PackedWeights(const WeightsView& weights, Isa isa)
    : isa_(isa),
      channels_(weights.channels),
      hidden_(weights.hidden),
      tokens_(weights.tokens),
      compute_(compute_dtype(weights.dtype)),
      panel_rows_(kernels_of(isa).of(compute_).panel_rows),
      padded_hidden_((hidden_ + panel_rows_ - 1) / panel_rows_ * panel_rows_) {}

template <typename Compute>
bool PackedWeights::fill(const WeightsView& weights) noexcept {
  const GroupLayout layout = layout_of(channels_, padded_hidden_);
  const auto elements = static_cast<std::size_t>(layout.size * tokens_);
  if (!buffer_.reserve(elements * sizeof(Compute))) return false;
  Compute* out = static_cast<Compute*>(buffer_.data());
  std::fill_n(out, elements, Compute{0});
  const LayerView& first = weights.layers[0];
  const LayerView& last = weights.layers[1];
  for (std::int64_t g = 0; g < tokens_; ++g, out += layout.size) {
    for (std::int64_t k = 0; k < hidden_; ++k) {
      const std::int64_t row = g * hidden_ + k;
      Compute* lane = out + k / panel_rows_ * panel_rows_ * channels_ + k % panel_rows_;
      for (std::int64_t c = 0; c < channels_; ++c) {
        lane[c * panel_rows_] = load<Compute>(first.weight, weights.dtype, row * channels_ + c);
      }
      out[layout.b1 + k] = load<Compute>(first.bias, weights.dtype, row);
      out[layout.w2 + k] = load<Compute>(last.weight, weights.dtype, row);
    }
    out[layout.b2] = load<Compute>(last.bias, weights.dtype, g);
  }
  return true;
}

Status PackedWeights::pack(const WeightsView& weights, Isa isa,
                           std::shared_ptr<const PackedWeights>& out) noexcept {
  if (!is_valid(weights) || !is_available(isa)) return Status::invalid_argument;
  if (weights.num_layers != 2) return Status::unsupported;
  try {
    std::shared_ptr<PackedWeights> packed(new PackedWeights(weights, isa));
    const bool filled =
        packed->compute_ == DType::float64 ? packed->fill<double>(weights) : packed->fill<float>(weights);
    if (!filled) return Status::out_of_memory;
    out = std::move(packed);
  } catch (const std::bad_alloc&) {
    return Status::out_of_memory;
  }
  return Status::ok;
}

PackedGroup PackedWeights::group(std::int64_t token) const noexcept {
  const GroupLayout layout = layout_of(channels_, padded_hidden_);
  const auto element = static_cast<std::int64_t>(size_of(compute_));
  const char* base = static_cast<const char*>(buffer_.data()) + token * layout.size * element;
  return {base, base + layout.b1 * element, base + layout.w2 * element, base + layout.b2 * element};
}

}  // namespace tokenlearner::kernels
