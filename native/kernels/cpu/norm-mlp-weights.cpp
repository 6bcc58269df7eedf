#include "kernels/cpu/norm-mlp-weights.hpp"

#include <algorithm>
#include <new>

#include "kernels/cpu/load-as.hpp"

namespace tokenlearner::kernels {
namespace {

bool is_valid(const NormMlpView& mlp) {
  const bool sizes = mlp.channels > 0 && mlp.hidden > 0 && mlp.tokens > 0 && mlp.groups > 0 &&
                     mlp.channels % mlp.groups == 0 && mlp.hidden % mlp.groups == 0;
  return sizes && is_floating(mlp.dtype) && mlp.norm_weight != nullptr && mlp.norm_bias != nullptr &&
         mlp.first_weight != nullptr;
}

/** False if the packed weights exceed the address space. Computed in floating point, which cannot overflow. */
bool fits_address_space(const NormMlpView& mlp) {
  constexpr double kMostPanelRows = 64;
  const double rows = static_cast<double>(mlp.hidden) + static_cast<double>(mlp.groups) * kMostPanelRows;
  const double columns = static_cast<double>(mlp.channels) + static_cast<double>(mlp.tokens) + 8;
  return rows * columns < 0x1p58 &&
         static_cast<double>(mlp.channels) * static_cast<double>(mlp.channels) < 0x1p58;
}

/** Hands out parts of a buffer, each on a cache line; without a buffer it only counts. */
template <typename T>
class Parts {
 public:
  explicit Parts(void* memory) : memory_(static_cast<T*>(memory)) {}
  T* take(std::int64_t count) {
    T* const part = memory_ == nullptr ? nullptr : memory_ + used_;
    used_ += (count + kLine - 1) / kLine * kLine;
    return part;
  }
  std::size_t bytes() const { return static_cast<std::size_t>(used_) * sizeof(T); }

 private:
  static constexpr std::int64_t kLine = 16;
  T* memory_;
  std::int64_t used_ = 0;
};

template <typename T>
struct Pointers {
  T *first_weight, *first_bias, *row_sum, *zeros, *second_weight, *second_bias, *value;
};

template <typename T>
Pointers<T> divide(Parts<T>& parts, const NormMlpLayout& layout, bool has_value) {
  const std::int64_t rows = layout.groups * layout.padded_rows;
  const std::int64_t per_group = layout.channels / layout.groups;
  Pointers<T> p{};
  p.first_weight = parts.take(rows * per_group);
  p.first_bias = parts.take(rows);
  p.row_sum = parts.take(rows);
  p.zeros = parts.take(layout.padded_rows);
  p.second_weight = parts.take(rows * layout.tokens);
  p.second_bias = parts.take(layout.tokens);
  p.value = has_value ? parts.take(layout.channels * per_group) : nullptr;
  return p;
}

/** One hidden row of W0 with LayerNorm folded in. Products and sums are in double and rounded once. */
template <typename T>
void fill_row(const NormMlpView& mlp, std::int64_t row, std::int64_t first_channel, std::int64_t channels,
              std::int64_t panel_rows, T* weight, T& bias, T& row_sum) {
  double sum = 0;
  double shift = mlp.first_bias == nullptr ? 0 : load_as<double>(mlp.first_bias, mlp.dtype, row);
  for (std::int64_t c = 0; c < channels; ++c) {
    const double w = load_as<double>(mlp.first_weight, mlp.dtype, row * channels + c);
    const T scaled = static_cast<T>(w * load_as<double>(mlp.norm_weight, mlp.dtype, first_channel + c));
    weight[c * panel_rows] = scaled;
    sum += static_cast<double>(scaled);
    shift += w * load_as<double>(mlp.norm_bias, mlp.dtype, first_channel + c);
  }
  bias = static_cast<T>(shift);
  row_sum = static_cast<T>(sum);
}

template <typename T>
void fill_mlp(const NormMlpView& mlp, std::int64_t padded_rows, std::int64_t panel_rows,
              const Pointers<T>& p) {
  const std::int64_t channels = mlp.channels / mlp.groups;
  const std::int64_t rows = mlp.hidden / mlp.groups;
  for (std::int64_t k = 0; k < mlp.groups; ++k) {
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t row = k * rows + r;
      const std::int64_t panel = k * padded_rows + r / panel_rows * panel_rows;
      const std::int64_t lane = r % panel_rows;
      fill_row<T>(mlp, row, k * channels, channels, panel_rows, p.first_weight + panel * channels + lane,
                  p.first_bias[panel + lane], p.row_sum[panel + lane]);
      for (std::int64_t g = 0; g < mlp.tokens && mlp.second_weight != nullptr; ++g) {
        p.second_weight[panel * mlp.tokens + g * panel_rows + lane] =
            load_as<T>(mlp.second_weight, mlp.dtype, g * mlp.hidden + row);
      }
    }
  }
  for (std::int64_t g = 0; g < mlp.tokens && mlp.second_bias != nullptr; ++g)
    p.second_bias[g] = load_as<T>(mlp.second_bias, mlp.dtype, g);
}

/** V, transposed in each group. */
template <typename T>
void fill_value(const TokenLearnerV11View& view, T* value) {
  const std::int64_t n = view.mlp.channels / view.mlp.groups;
  for (std::int64_t c = 0; c < view.mlp.channels; ++c) {
    for (std::int64_t i = 0; i < n; ++i)
      value[(c / n * n + i) * n + c % n] = load_as<T>(view.value_weight, view.mlp.dtype, c * n + i);
  }
}

}  // namespace

NormMlpWeights::NormMlpWeights(const NormMlpView& mlp, Isa isa)
    : isa_(isa), compute_(compute_dtype(mlp.dtype)), layout_{} {
  const std::int64_t panel_rows = kernels_of(isa).of(compute_).panel_rows;
  layout_.channels = mlp.channels;
  layout_.hidden = mlp.hidden;
  layout_.tokens = mlp.tokens;
  layout_.groups = mlp.groups;
  layout_.padded_rows = (mlp.hidden / mlp.groups + panel_rows - 1) / panel_rows * panel_rows;
  layout_.activation = mlp.activation;
  layout_.eps = mlp.eps;
}

template <typename Compute>
bool NormMlpWeights::fill(const TokenLearnerV11View& view) noexcept {
  const bool has_value = view.value_weight != nullptr;
  Parts<Compute> sizes(nullptr);
  divide(sizes, layout_, has_value);
  if (!buffer_.reserve(sizes.bytes())) return false;
  std::fill_n(static_cast<char*>(buffer_.data()), sizes.bytes(), char{0});
  Parts<Compute> parts(buffer_.data());
  const Pointers<Compute> p = divide(parts, layout_, has_value);
  fill_mlp<Compute>(view.mlp, layout_.padded_rows, kernels_of(isa_).of(compute_).panel_rows, p);
  if (has_value) fill_value<Compute>(view, p.value);
  layout_.first_weight = p.first_weight;
  layout_.first_bias = p.first_bias;
  layout_.row_sum = p.row_sum;
  layout_.zeros = p.zeros;
  layout_.second_weight = p.second_weight;
  layout_.second_bias = p.second_bias;
  value_ = p.value;
  return true;
}

Status NormMlpWeights::pack(const TokenLearnerV11View& view, Isa isa,
                            std::shared_ptr<const NormMlpWeights>& out) noexcept {
  if (!is_valid(view.mlp) || !is_available(isa)) return Status::invalid_argument;
  if (!fits_address_space(view.mlp)) return Status::out_of_memory;
  try {
    std::shared_ptr<NormMlpWeights> packed(new NormMlpWeights(view.mlp, isa));
    const bool filled =
        packed->compute_ == DType::float64 ? packed->fill<double>(view) : packed->fill<float>(view);
    if (!filled) return Status::out_of_memory;
    out = std::move(packed);
  } catch (const std::bad_alloc&) {
    return Status::out_of_memory;
  }
  return Status::ok;
}

double NormMlpWeights::work_per_pixel() const noexcept {
  constexpr double kCopies = 8;
  const auto channels = static_cast<double>(layout_.channels);
  const auto hidden = static_cast<double>(layout_.hidden);
  const auto tokens = static_cast<double>(layout_.tokens);
  constexpr double kActivation = 20;
  return hidden * (channels / static_cast<double>(layout_.groups) + tokens + kActivation) +
         channels * (tokens + kCopies);
}

}  // namespace tokenlearner::kernels
