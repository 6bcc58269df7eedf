#include "kernels/cpu/packed-weights.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "kernels/cpu/cpu-features.hpp"
#include "kernels/cpu/load-as.hpp"
#include "kernels/cpu/validate.hpp"

namespace tokenlearner::kernels {
namespace {

/** Each part starts on a cache line, in elements. */
constexpr std::int64_t kLine = 16;

std::int64_t whole_lines(std::int64_t elements) { return (elements + kLine - 1) / kLine * kLine; }

/** False if the packed weights exceed the address space. Computed in floating point, which cannot overflow. */
bool fits_address_space(const WeightsView& weights) {
  constexpr double kMostPanelRows = 64;
  const double tokens = static_cast<double>(weights.tokens);
  double columns = static_cast<double>(weights.channels) + kLine;
  if (weights.num_layers == 1) return (tokens + kMostPanelRows) * columns < 0x1p59;
  columns += (weights.num_layers - 1) * (static_cast<double>(weights.hidden) + 2 * kLine);
  return tokens * columns * (static_cast<double>(weights.hidden) + kMostPanelRows) < 0x1p59;
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

const TypedKernels& token_learner_kernels(Isa isa, DType dtype) {
#if defined(__x86_64__)
  if (isa == Isa::avx512 && dtype == DType::bfloat16) {
    if (enable_tiles()) return amx_bf16_kernels();
    if (cpu_features().fast_pair_products) return avx512_bf16_kernels();
  }
#endif
  return kernels_of(isa).of(dtype);
}

PackedWeights::PackedWeights(const WeightsView& weights, Isa isa, const TypedKernels& kernels)
    : isa_(isa),
      kernels_(kernels),
      channels_(weights.channels),
      hidden_(weights.num_layers == 1 ? 0 : weights.hidden),
      tokens_(weights.tokens),
      num_layers_(weights.num_layers),
      compute_(compute_dtype(weights.dtype)),
      groups_(num_layers_ == 1 ? 1 : tokens_),
      rows_(num_layers_ == 1 ? tokens_ : hidden_),
      padded_rows_((rows_ + kernels.first_panels.rows - 1) / kernels.first_panels.rows *
                   kernels.first_panels.rows) {}

const TypedKernels* PackedWeights::kernels(DType dtype) const noexcept {
  if (compute_dtype(dtype) != compute_) return nullptr;
  if (has_pairs()) return dtype == DType::bfloat16 ? &kernels_ : nullptr;
  return &kernels_of(isa_).of(dtype);
}

std::int64_t PackedWeights::offset(int index) const noexcept {
  const auto size = [&](std::int64_t inputs) {
    return whole_lines(inputs * padded_rows_) + whole_lines(padded_rows_);
  };
  if (index == 0) return 0;
  if (index == num_layers_ && num_layers_ > 1) return offset(index - 1) + whole_lines(padded_rows_) + kLine;
  return size(inputs(0)) + (index - 1) * size(hidden_);
}

/** `out` is the start of the layer. */
template <typename Compute>
void PackedWeights::fill_panels(const WeightsView& weights, int index, std::int64_t group,
                                Compute* out) noexcept {
  const LayerView& layer = weights.layers[index];
  const std::int64_t columns = inputs(index);
  const std::int64_t panel_rows = kernels_.panel_rows;
  Compute* bias = out + whole_lines(columns * padded_rows_);
  if (index == 0 && has_pairs()) {
    const auto* rows = static_cast<const BFloat16*>(layer.weight) + group * rows_ * channels_;
    fill_pairs(rows, reinterpret_cast<char*>(out));
    for (std::int64_t k = 0; k < rows_; ++k) {
      bias[k] = load_as<Compute>(layer.bias, weights.dtype, group * rows_ + k);
    }
    return;
  }
  for (std::int64_t k = 0; k < rows_; ++k) {
    const std::int64_t row = group * rows_ + k;
    Compute* lane = out + k / panel_rows * panel_rows * columns + k % panel_rows;
    for (std::int64_t c = 0; c < columns; ++c) {
      lane[c * panel_rows] = load_as<Compute>(layer.weight, weights.dtype, row * columns + c);
    }
    bias[k] = load_as<Compute>(layer.bias, weights.dtype, row);
  }
}

/** The first layer of one group. `rows` are its rows_ rows of channels_ weights. */
void PackedWeights::fill_pairs(const BFloat16* rows, char* out) noexcept {
  const std::int64_t pairs = inputs(0);
  const auto [panel_rows, run] = kernels_.first_panels;
  for (std::int64_t k = 0; k < rows_; ++k) {
    char* panel = out + k / panel_rows * panel_rows * pairs * 4;
    for (std::int64_t c = 0; c < channels_; ++c) {
      const std::int64_t block = c / 2 / run * run * panel_rows;
      const std::int64_t element = (block + k % panel_rows * run + c / 2 % run) * 2 + c % 2;
      std::memcpy(panel + element * 2, &rows[k * channels_ + c], 2);
    }
  }
}

template <typename Compute>
bool PackedWeights::fill(const WeightsView& weights) noexcept {
  const auto elements = static_cast<std::size_t>(groups_ * offset(num_layers_));
  if (!buffer_.reserve(elements * sizeof(Compute))) return false;
  Compute* out = static_cast<Compute*>(buffer_.data());
  std::fill_n(out, elements, Compute{0});
  const int last = num_layers_ - 1;
  for (std::int64_t g = 0; g < groups_; ++g, out += offset(num_layers_)) {
    for (int i = 0; i < std::max(last, 1); ++i) fill_panels(weights, i, g, out + offset(i));
    if (last == 0) continue;
    Compute* w2 = out + offset(last);
    for (std::int64_t k = 0; k < hidden_; ++k) {
      w2[k] = load_as<Compute>(weights.layers[last].weight, weights.dtype, g * hidden_ + k);
    }
    w2[whole_lines(padded_rows_)] = load_as<Compute>(weights.layers[last].bias, weights.dtype, g);
  }
  return true;
}

Status PackedWeights::pack(const WeightsView& weights, Isa isa,
                           std::shared_ptr<const PackedWeights>& out) noexcept {
  if (!is_valid(weights) || !is_available(isa)) return Status::invalid_argument;
  return pack(weights, isa, token_learner_kernels(isa, weights.dtype), out);
}

Status PackedWeights::pack(const WeightsView& weights, Isa isa, const TypedKernels& kernels,
                           std::shared_ptr<const PackedWeights>& out) noexcept {
  if (!is_valid(weights) || !is_available(isa)) return Status::invalid_argument;
  if (!fits_address_space(weights)) return Status::out_of_memory;
  try {
    std::shared_ptr<PackedWeights> packed(new PackedWeights(weights, isa, kernels));
    const bool filled =
        packed->compute_ == DType::float64 ? packed->fill<double>(weights) : packed->fill<float>(weights);
    if (!filled) return Status::out_of_memory;
    out = std::move(packed);
  } catch (const std::bad_alloc&) {
    return Status::out_of_memory;
  }
  return Status::ok;
}

double PackedWeights::work_per_pixel() const noexcept {
  constexpr double kCopies = 8;
  const auto channels = static_cast<double>(channels_);
  const auto hidden = static_cast<double>(hidden_);
  const auto tokens = static_cast<double>(tokens_);
  const double first = channels / kernels_.first_speed;
  const double maps = num_layers_ == 1 ? first : hidden * (first + (num_layers_ - 2) * hidden);
  return tokens * maps + channels * (tokens + kCopies);
}

PackedLayer PackedWeights::layer(std::int64_t token, int index) const noexcept {
  const auto element = static_cast<std::int64_t>(item_size(compute_));
  const bool panels = index == 0 || index < num_layers_ - 1;
  const char* weight =
      static_cast<const char*>(buffer_.data()) + (token * offset(num_layers_) + offset(index)) * element;
  return {weight, weight + whole_lines(panels ? inputs(index) * padded_rows_ : padded_rows_) * element};
}

}  // namespace tokenlearner::kernels
