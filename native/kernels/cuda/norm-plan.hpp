// Shared by the plans and forwards of norm-mlp-cuda.hpp. Host only.
#pragma once

#include "kernels/cuda/norm-mlp-cuda.hpp"
#include "kernels/cuda/norm-rows-args.hpp"
#include "kernels/cuda/plan.hpp"
#include "kernels/cuda/tiling.hpp"
#include "kernels/cuda/views.hpp"

namespace tokenlearner::kernels::cuda {

/**
 * `invalid_argument` if a size is not positive. `unsupported` if a number that the kernels keep in 32 bits does not
 * fit.
 */
Status check_norm_sizes(std::int64_t channels, std::int64_t hidden, std::int64_t tokens);

/** Rounded up to whole tiles of rows. */
std::int64_t padded_rows(std::int64_t hidden);

/** A plan whose passes have at most `most_images`, and a workspace of some megabytes where one image's fits in that. */
NormPlan norm_plan(std::int64_t batch, std::size_t bytes_per_image, std::int64_t most_images);

MlpArgs mlp_args(const CudaNormMlp& weights);

/** LayerNorm and the first product of a forward, for the images from `first_image` on. */
template <typename Params>
NormRowsArgs norm_rows_args(const Params& params, std::int64_t first_image, const CudaNormMlp& weights) {
  NormRowsArgs args;
  args.x = image_view(params, first_image, weights.channels);
  args.channels_last = is_channels_last(params.x_channel_stride, params.x_pixel_stride);
  args.channels = static_cast<int>(weights.channels);
  args.chunks = static_cast<int>(chunk_count(weights.channels, weights.precision));
  args.pixels = params.height * params.width;
  args.eps = weights.eps;
  args.norm_weight = weights.norm_weight;
  args.norm_bias = weights.norm_bias;
  args.row_blocks = static_cast<const std::uint8_t*>(weights.row_blocks);
  args.row_tiles = static_cast<int>(padded_rows(weights.hidden) / kBlockRows);
  return args;
}

/** The guards of a forward that all layers share. A batch of 0 is ok. */
template <typename Params>
Status check_norm_forward(const Params& params, const CudaNormMlp& weights, const NormPlan& plan,
                          const void* workspace, std::size_t workspace_bytes) {
  if (!is_supported(params.dtype)) return Status::unsupported;
  if (params.batch < 0 || params.height <= 0 || params.width <= 0) return Status::invalid_argument;
  if (params.dtype != element_dtype(weights.precision)) return Status::invalid_argument;
  const Status sizes = check_norm_sizes(weights.channels, weights.hidden, weights.tokens);
  if (sizes != Status::ok) return sizes;
  if (params.width > kMostImagePixels / params.height) return Status::unsupported;
  if (params.batch == 0) return Status::ok;
  if (params.x == nullptr || params.tokens == nullptr || plan.images_per_pass <= 0)
    return Status::invalid_argument;
  const bool fits = workspace_bytes >= plan.workspace_bytes &&
                    (plan.workspace_bytes == 0 || (workspace != nullptr && aligned(workspace, 1024)));
  return fits ? Status::ok : Status::invalid_argument;
}

}  // namespace tokenlearner::kernels::cuda
