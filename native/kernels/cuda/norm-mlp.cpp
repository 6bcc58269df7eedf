// Packs the parameters of norm-mlp-cuda.hpp, and what its plans share.
#include <algorithm>
#include <limits>

#include "kernels/cuda/norm-plan.hpp"
#include "kernels/cuda/pack-vectors.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

/** Bytes. A pass takes as many images as fit in this, and at least one. */
constexpr std::size_t kWorkspaceTarget = 48u << 20;

/** Bytes of W0's blocks, which are the first in the buffer. */
std::size_t row_bytes(const NormMlpView& view, Precision precision) {
  return static_cast<std::size_t>(padded_rows(view.hidden) / kBlockRows) *
         static_cast<std::size_t>(chunk_count(view.channels, precision)) *
         static_cast<std::size_t>(kBlockBytes * planes_of(precision));
}

bool fits_int(std::int64_t value) { return value <= std::numeric_limits<std::int32_t>::max(); }

Status pack_rows(const NormMlpView& view, Precision precision, void* target, void* stream) {
  PackWeightsArgs args;
  args.weight = view.first_weight;
  args.dtype = view.dtype;
  args.channels = static_cast<int>(view.channels);
  args.hidden = static_cast<int>(view.hidden);
  args.hidden_padded = static_cast<int>(padded_rows(view.hidden));
  args.tokens = 1;
  args.chunks = static_cast<int>(chunk_count(view.channels, precision));
  args.blocks = static_cast<std::uint8_t*>(target);
  return launch_pack_rows(precision, args, stream);
}

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
  VectorSizes sizes;
  sizes.place(view.channels);
  sizes.place(view.channels);
  sizes.place(padded_rows(view.hidden));
  if (view.second_weight != nullptr) {
    sizes.place(view.tokens * padded_rows(view.hidden));
    sizes.place(view.tokens);
  }
  return row_bytes(view, precision) + sizes.bytes();
}

Status cuda_pack_norm_mlp(const NormMlpView& view, Precision precision, void* buffer, std::size_t bytes,
                          CudaNormMlp* packed, void* stream) {
  if (view.groups != 1 || !is_supported(view.dtype)) return Status::unsupported;
  if (view.dtype != element_dtype(precision)) return Status::invalid_argument;
  const Status sizes = check_norm_sizes(view.channels, view.hidden, view.tokens);
  if (sizes != Status::ok) return sizes;
  if (buffer == nullptr || !aligned(buffer, 1024) || bytes < cuda_norm_mlp_bytes(view, precision))
    return Status::invalid_argument;
  const Status rows = pack_rows(view, precision, buffer, stream);
  if (rows != Status::ok) return rows;
  packed->precision = precision;
  packed->channels = view.channels;
  packed->hidden = view.hidden;
  packed->tokens = view.tokens;
  packed->activation = view.activation;
  packed->eps = static_cast<float>(view.eps);
  packed->row_blocks = buffer;
  VectorPacking vectors(static_cast<char*>(buffer) + row_bytes(view, precision), view.dtype, stream);
  packed->norm_weight = vectors.pack(view.norm_weight, view.channels);
  packed->norm_bias = vectors.pack(view.norm_bias, view.channels);
  packed->first_bias = vectors.pack(view.first_bias, 1, view.hidden, padded_rows(view.hidden));
  if (view.second_weight == nullptr) return vectors.status();
  packed->second_weight =
      vectors.pack(view.second_weight, view.tokens, view.hidden, padded_rows(view.hidden));
  packed->second_bias = vectors.pack(view.second_bias, view.tokens);
  return vectors.status();
}

}  // namespace tokenlearner::kernels::cuda
