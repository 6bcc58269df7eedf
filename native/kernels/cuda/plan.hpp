// The sizes, counts and workspace offsets that plan_forward and the launchers share. Host only.
#pragma once

#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner::kernels::cuda {

std::int64_t padded_hidden(std::int64_t hidden);
std::int64_t chunk_count(std::int64_t channels, Precision precision);
/** The number of blocks of 64 pixels, rounded up to whole wgmma tiles of 128 pixels. */
std::int64_t pixel_blocks(std::int64_t pixel_count);
std::int64_t segment_count(std::int64_t pixels);
/** The number of sums per pixel and tile. */
int partial_lanes(Variant variant);
int tiles_per_split(const Plan& plan, std::int64_t hidden);
std::int64_t tile_count(const Plan& plan, std::int64_t hidden);

/**
 * `invalid_argument` if channels, hidden or tokens is not positive. `unsupported` if a number that the
 * kernels keep in 32 bits does not fit. Otherwise ok.
 */
Status check_sizes(const CudaShape& shape, Precision precision);

/** True if a variant can run. choose_variant says which one should. */
bool can_run(Variant variant, const CudaShape& shape, Precision precision, const DeviceProperties& device);

/** The workspace of one pass over `images` images. Offsets are in bytes from its start. */
struct WorkspaceLayout {
  std::size_t x_blocks = 0;
  std::size_t partials = 0;
  std::int64_t partial_stride = 0;  // elements
  std::size_t segment_sums = 0;
  std::size_t total = 0;
};
WorkspaceLayout workspace_layout(const CudaShape& shape, const Plan& plan, std::int64_t images);

/** Makes the plan compute `images` images per pass. */
void set_images_per_pass(Plan& plan, const CudaShape& shape, std::int64_t images);

struct PackedWeightsLayout {
  std::size_t weight = 0;
  std::size_t bias_and_scale = 0;
  std::size_t token_bias = 0;
  std::size_t total = 0;
};
PackedWeightsLayout packed_weights_layout(const CudaShape& shape, Precision precision, WeightFormat format);

}  // namespace tokenlearner::kernels::cuda
