// Packs the parameters of norm-mlp-cuda.hpp, and what its plans share.
#include <algorithm>
#include <limits>

#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/norm-plan.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

/** Bytes. A pass takes as many images as fit in this, and at least one. */
constexpr std::size_t kWorkspaceTarget = 48u << 20;
constexpr std::size_t kVectorAlignment = 256;

struct Layout {
  std::size_t norm_weight, norm_bias, first_bias, second_weight, second_bias, total;
};

/** Offsets in bytes; W0 is at 0. */
Layout layout_of(const NormMlpView& view, Precision precision) {
  const std::int64_t rows = padded_rows(view.hidden);
  Layout layout{};
  std::size_t end = static_cast<std::size_t>(rows / kBlockRows) *
                    static_cast<std::size_t>(chunk_count(view.channels, precision)) *
                    static_cast<std::size_t>(kBlockBytes * planes_of(precision));
  const auto place = [&end](std::int64_t count) {
    const std::size_t start = end;
    end += round_up(static_cast<std::size_t>(count) * sizeof(float), kVectorAlignment);
    return start;
  };
  layout.norm_weight = place(view.channels);
  layout.norm_bias = place(view.channels);
  layout.first_bias = place(rows);
  layout.second_weight = place(view.second_weight == nullptr ? 0 : view.tokens * rows);
  layout.second_bias = place(view.tokens);
  layout.total = end;
  return layout;
}

bool fits_int(std::int64_t value) { return value <= std::numeric_limits<std::int32_t>::max(); }

/** Launches one after another until one fails. */
class Launches {
 public:
  Launches(DType dtype, void* stream) : dtype_(dtype), stream_(stream) {}

  /** A null source gives zeros. */
  float* widen(const void* source, std::int64_t rows, std::int64_t columns, std::int64_t padded_columns,
               void* target) {
    auto* const floats = static_cast<float*>(target);
    if (status_ == Status::ok)
      status_ = launch_widen({source, dtype_, rows, columns, padded_columns, floats}, stream_);
    return floats;
  }

  void pack_rows(const NormMlpView& view, Precision precision, void* target) {
    PackWeightsArgs args;
    args.weight = view.first_weight;
    args.dtype = view.dtype;
    args.channels = static_cast<int>(view.channels);
    args.hidden = static_cast<int>(view.hidden);
    args.hidden_padded = static_cast<int>(padded_rows(view.hidden));
    args.tokens = 1;
    args.chunks = static_cast<int>(chunk_count(view.channels, precision));
    args.blocks = static_cast<std::uint8_t*>(target);
    if (status_ == Status::ok) status_ = launch_pack_rows(precision, args, stream_);
  }

  Status status() const { return status_; }

 private:
  DType dtype_;
  void* stream_;
  Status status_ = Status::ok;
};

}  // namespace

std::int64_t padded_rows(std::int64_t hidden) { return round_up<std::int64_t>(hidden, kBlockRows); }

Status check_norm_sizes(std::int64_t channels, std::int64_t hidden, std::int64_t tokens) {
  if (channels <= 0 || hidden <= 0 || tokens <= 0) return Status::invalid_argument;
  // A unit of channels more than there are, and a tile of rows.
  const bool fits = fits_int(channels + kRowBytes) && fits_int(hidden + kBlockRows) && fits_int(tokens + 8);
  return fits ? Status::ok : Status::unsupported;
}

NormPlan norm_plan(std::int64_t batch, std::size_t bytes_per_image, std::int64_t most_images) {
  NormPlan plan;
  const auto fitting =
      static_cast<std::int64_t>(kWorkspaceTarget / std::max<std::size_t>(bytes_per_image, 1));
  plan.images_per_pass =
      std::min(batch, std::clamp<std::int64_t>(fitting, 1, std::max<std::int64_t>(most_images, 1)));
  plan.workspace_bytes = static_cast<std::size_t>(plan.images_per_pass) * bytes_per_image;
  return plan;
}

MlpArgs mlp_args(const CudaNormMlp& weights) {
  return {weights.activation, weights.first_bias, weights.second_weight, weights.second_bias};
}

std::size_t cuda_norm_mlp_bytes(const NormMlpView& view, Precision precision) {
  return layout_of(view, precision).total;
}

Status cuda_pack_norm_mlp(const NormMlpView& view, Precision precision, void* buffer, std::size_t bytes,
                          CudaNormMlp* packed, void* stream) {
  if (view.groups != 1 || !is_supported(view.dtype)) return Status::unsupported;
  if (view.dtype != element_dtype(precision)) return Status::invalid_argument;
  const Status sizes = check_norm_sizes(view.channels, view.hidden, view.tokens);
  if (sizes != Status::ok) return sizes;
  const Layout layout = layout_of(view, precision);
  if (buffer == nullptr || !aligned(buffer, 1024) || bytes < layout.total) return Status::invalid_argument;
  char* const base = static_cast<char*>(buffer);
  const std::int64_t rows = padded_rows(view.hidden);
  Launches launches(view.dtype, stream);
  launches.pack_rows(view, precision, base);
  packed->precision = precision;
  packed->channels = view.channels;
  packed->hidden = view.hidden;
  packed->tokens = view.tokens;
  packed->activation = view.activation;
  packed->eps = static_cast<float>(view.eps);
  packed->row_blocks = base;
  packed->norm_weight =
      launches.widen(view.norm_weight, 1, view.channels, view.channels, base + layout.norm_weight);
  packed->norm_bias =
      launches.widen(view.norm_bias, 1, view.channels, view.channels, base + layout.norm_bias);
  packed->first_bias = launches.widen(view.first_bias, 1, view.hidden, rows, base + layout.first_bias);
  if (view.second_weight != nullptr) {
    packed->second_weight =
        launches.widen(view.second_weight, view.tokens, view.hidden, rows, base + layout.second_weight);
  }
  packed->second_bias =
      launches.widen(view.second_bias, 1, view.tokens, view.tokens, base + layout.second_bias);
  return launches.status();
}

}  // namespace tokenlearner::kernels::cuda
