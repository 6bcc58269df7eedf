#include "kernels/cuda/plan.hpp"

#include <algorithm>
#include <limits>

#include "kernels/cuda/maps-mma-body.hpp"
#include "kernels/cuda/maps-simt-body.hpp"
#include "kernels/cuda/maps-small-body.hpp"
#include "kernels/cuda/maps-wgmma-body.hpp"
#include "kernels/cuda/tokens-body.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

constexpr std::size_t kAlignment = 1024;
/** Bytes. A pass takes as many images as fit in this, and at least one. */
constexpr std::size_t kWorkspaceTarget = 48u << 20;
/** Images are the z dimension of a grid, which has this limit. */
constexpr std::int64_t kMostImages = 65535;
/**
 * Measured on an H100, whole forwards in ms. doc-1, 0.134e9 operations: small 0.0149 and wgmma 0.0254 in
 * bfloat16, 0.0171 and 0.0261 in float32. zeta-test, 0.21e9 operations: small 0.0321 and wgmma 0.0221 in
 * bfloat16, 0.0384 and 0.0291 in float32.
 */
constexpr double kSmallOperations = 0.15e9;
/** An image of at least so many pixels fills most of a 128-pixel tile, so a batch gains little. */
constexpr std::int64_t kSmallPixels = 96;
/**
 * From this number of channel chunks on, the product is long enough to hide the other warpgroup's epilogue.
 */
constexpr std::int64_t kWideChunks = 6;

std::size_t aligned(std::size_t bytes) { return round_up(bytes, kAlignment); }

std::size_t bytes_of(std::int64_t count, std::size_t each) { return static_cast<std::size_t>(count) * each; }

int hidden_tile(const CudaShape& shape, Precision precision, Variant variant) {
  const bool wide = variant == Variant::wgmma && precision != Precision::float32 &&
                    padded_hidden(shape.hidden) % kWideHiddenTile == 0 &&
                    chunk_count(shape.channels, precision) >= kWideChunks;
  return wide ? kWideHiddenTile : kHiddenGranule;
}

/** The number of thread blocks per split in one pass. */
std::int64_t blocks_of(const CudaShape& shape, const Plan& plan, std::int64_t images) {
  const std::int64_t pixels = images * shape.pixels;
  if (plan.variant == Variant::small)
    return images * ceil_div<std::int64_t>(shape.pixels, kSmallTilePixels) * shape.tokens;
  const int tile = plan.variant == Variant::wgmma ? kWgmmaTilePixels : mma_tile_pixels(plan.precision);
  return ceil_div<std::int64_t>(pixels, tile) * shape.tokens;
}

int choose_splits(const CudaShape& shape, const Plan& plan, const DeviceProperties& device) {
  if (plan.variant == Variant::simt || plan.images_per_pass == 0) return 1;
  const std::int64_t wanted = plan.variant == Variant::wgmma && plan.hidden_tile == kWideHiddenTile
                                  ? device.multiprocessors
                                  : 2 * static_cast<std::int64_t>(device.multiprocessors);
  const std::int64_t blocks = blocks_of(shape, plan, std::min(shape.batch, plan.images_per_pass));
  const std::int64_t tiles = tile_count(plan, shape.hidden);
  const std::int64_t splits = std::clamp<std::int64_t>(wanted / std::max<std::int64_t>(blocks, 1), 1, tiles);
  // Make the splits equal, with none empty.
  return static_cast<int>(ceil_div(tiles, ceil_div(tiles, splits)));
}

bool fits_int(std::int64_t value) { return value <= std::numeric_limits<std::int32_t>::max(); }

}  // namespace

WeightFormat format_of(Variant variant) {
  return variant == Variant::simt ? WeightFormat::rows : WeightFormat::tile_images;
}

const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::float32:
      return "float32";
    case Precision::tf32:
      return "tf32";
    case Precision::bfloat16:
      return "bfloat16";
    case Precision::float16:
      return "float16";
  }
  return "";
}

const char* name_of(Variant variant) {
  switch (variant) {
    case Variant::simt:
      return "simt";
    case Variant::small:
      return "small";
    case Variant::mma:
      return "mma";
    case Variant::wgmma:
      return "wgmma";
  }
  return "";
}

std::int64_t padded_hidden(std::int64_t hidden) { return round_up<std::int64_t>(hidden, kHiddenGranule); }

std::int64_t chunk_count(std::int64_t channels, Precision precision) {
  return ceil_div<std::int64_t>(channels, channels_per_chunk(precision));
}

std::int64_t pixel_blocks(std::int64_t pixel_count) {
  return round_up<std::int64_t>(pixel_count, kWgmmaTilePixels) / kBlockRows;
}

std::int64_t segment_count(std::int64_t pixels) { return ceil_div<std::int64_t>(pixels, kSegmentPixels); }

bool has_pixel_segments(const CudaShape& shape) { return segment_count(shape.pixels) > 1; }

Status check_sizes(const CudaShape& shape, Precision precision) {
  if (shape.channels <= 0 || shape.hidden <= 0 || shape.tokens <= 0) return Status::invalid_argument;
  if (!fits_int(shape.channels) || !fits_int(shape.hidden) || !fits_int(shape.tokens))
    return Status::unsupported;
  const std::int64_t chunks = chunk_count(shape.channels, precision);
  const std::int64_t rows = padded_hidden(shape.hidden);
  const bool fits = fits_int(chunks * channels_per_chunk(precision)) && fits_int(rows * shape.tokens) &&
                    // The steps of the product's loop: one for each tile of hidden rows and chunk.
                    fits_int(rows / kHiddenGranule * chunks) &&
                    // The smallest tile of pixels that a kernel counts.
                    fits_int(ceil_div<std::int64_t>(shape.pixels, kSmallTilePixels));
  return fits ? Status::ok : Status::unsupported;
}

int partial_lanes(Variant variant) {
  return variant == Variant::small ? kSmallWarps : variant == Variant::wgmma ? 1 : 2;
}

std::int64_t tile_count(const Plan& plan, std::int64_t hidden) {
  return padded_hidden(hidden) / plan.hidden_tile;
}

int tiles_per_split(const Plan& plan, std::int64_t hidden) {
  return static_cast<int>(ceil_div<std::int64_t>(tile_count(plan, hidden), plan.splits));
}

WorkspaceLayout workspace_layout(const CudaShape& shape, const Plan& plan, std::int64_t images) {
  WorkspaceLayout layout;
  const std::int64_t pixel_count = images * shape.pixels;
  std::size_t end = 0;
  const auto place = [&end](std::size_t bytes) {
    const std::size_t start = end;
    end += aligned(bytes);
    return start;
  };
  if (plan.variant == Variant::mma || plan.variant == Variant::wgmma) {
    const std::int64_t blocks = pixel_blocks(pixel_count) * chunk_count(shape.channels, plan.precision);
    layout.x_blocks =
        place(bytes_of(blocks, static_cast<std::size_t>(kBlockBytes * planes_of(plan.precision))));
  }
  layout.partial_stride = round_up<std::int64_t>(pixel_count, 32);
  if (plan.splits > 1) {
    const std::int64_t rows = tile_count(plan, shape.hidden) * shape.tokens * partial_lanes(plan.variant);
    layout.partials = place(bytes_of(rows * layout.partial_stride, sizeof(float)));
  }
  if (plan.variant == Variant::small) {
    const std::int64_t tiles = ceil_div<std::int64_t>(shape.pixels, kSmallTilePixels);
    layout.segment_sums = place(bytes_of(images * tiles * shape.channels * shape.tokens, sizeof(float)));
  } else if (has_pixel_segments(shape)) {
    const std::int64_t sums = images * segment_count(shape.pixels) * shape.channels * shape.tokens;
    layout.segment_sums = place(bytes_of(sums, sizeof(float)));
  }
  layout.total = end;
  return layout;
}

void set_images_per_pass(Plan& plan, const CudaShape& shape, std::int64_t images) {
  plan.images_per_pass = images;
  plan.workspace_bytes = workspace_layout(shape, plan, images).total;
  if (plan.variant != Variant::small) return;
  const std::int64_t tiles = ceil_div<std::int64_t>(shape.pixels, kSmallTilePixels);
  plan.counter_bytes = bytes_of(images * shape.tokens * (tiles + 1), sizeof(std::uint32_t));
}

PackedWeightsLayout packed_weights_layout(const CudaShape& shape, Precision precision, WeightFormat format) {
  PackedWeightsLayout layout;
  const std::int64_t rows = shape.tokens * padded_hidden(shape.hidden);
  const std::size_t weight = format == WeightFormat::rows
                                 ? bytes_of(shape.tokens * shape.hidden, kSimtChannels * sizeof(float))
                                 : bytes_of(rows / kBlockRows * chunk_count(shape.channels, precision),
                                            static_cast<std::size_t>(kBlockBytes * planes_of(precision)));
  layout.bias_and_scale = aligned(weight);
  layout.token_bias = layout.bias_and_scale + aligned(bytes_of(rows, 2 * sizeof(float)));
  layout.total = layout.token_bias + aligned(bytes_of(shape.tokens, sizeof(float)));
  return layout;
}

std::size_t packed_weights_bytes(const CudaShape& shape, Precision precision, Variant variant) {
  return packed_weights_layout(shape, precision, format_of(variant)).total;
}

Status choose_precision(DType dtype, bool allow_tf32, Precision* precision) {
  switch (dtype) {
    case DType::float32:
      *precision = allow_tf32 ? Precision::tf32 : Precision::float32;
      return Status::ok;
    case DType::float16:
      *precision = Precision::float16;
      return Status::ok;
    case DType::bfloat16:
      *precision = Precision::bfloat16;
      return Status::ok;
    default:
      return Status::unsupported;
  }
}

bool can_run(Variant variant, const CudaShape& shape, Precision precision, const DeviceProperties& device) {
  switch (variant) {
    case Variant::simt:
      return precision == Precision::float32 && shape.channels <= kSimtChannels;
    case Variant::small:
      return small_shared_bytes(precision, chunk_count(shape.channels, precision)) <=
             device.shared_memory_per_block;
    case Variant::mma:
      return true;
    case Variant::wgmma:
      return device.compute_major == 9 && device.compute_minor == 0;
  }
  return false;
}

Variant choose_variant(const CudaShape& shape, Precision precision, const DeviceProperties& device) {
  if (can_run(Variant::simt, shape, precision, device)) return Variant::simt;
  const double operations = 2.0 * static_cast<double>(shape.tokens * shape.hidden) *
                            static_cast<double>(shape.channels * shape.pixels);
  if (operations <= kSmallOperations && shape.pixels >= kSmallPixels &&
      can_run(Variant::small, shape, precision, device)) {
    return Variant::small;
  }
  return can_run(Variant::wgmma, shape, precision, device) ? Variant::wgmma : Variant::mma;
}

Plan plan_forward(const CudaShape& shape, Precision precision, Variant variant,
                  const DeviceProperties& device) {
  Plan plan;
  plan.precision = precision;
  plan.variant = variant;
  plan.hidden_tile = hidden_tile(shape, precision, variant);
  if (shape.batch == 0) return plan;
  Plan unsplit = plan;
  unsplit.images_per_pass = 1;
  const std::size_t one = workspace_layout(shape, unsplit, 1).total;
  plan.images_per_pass =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(kWorkspaceTarget / std::max<std::size_t>(one, 1)), 1,
                               std::min(shape.batch, kMostImages));
  // The images of a pass share one padding, so more may fit than the estimate from one image: try larger
  // passes.
  while (plan.images_per_pass < std::min(shape.batch, kMostImages)) {
    const std::int64_t more = std::min({plan.images_per_pass * 2, shape.batch, kMostImages});
    if (workspace_layout(shape, plan, more).total > kWorkspaceTarget) break;
    plan.images_per_pass = more;
  }
  plan.splits = choose_splits(shape, plan, device);
  set_images_per_pass(plan, shape, plan.images_per_pass);
  return plan;
}

}  // namespace tokenlearner::kernels::cuda
