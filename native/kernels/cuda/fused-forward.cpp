// Turns the parameters of a forward into kernel launches. See token-learner-cuda.hpp for the contracts.
//
// The ladder of kernels for the maps. Every step stays usable. The times are for vit-b (237 GFLOP) in
// bfloat16. Those of mma and wgmma are the whole forward, as measured on an H100 SXM (80 GB HBM3). That of
// eager is a prediction, calculated from an H200's 132 multiprocessors, 788 TFLOP/s and 4.3 TB/s.
//
//   eager      PyTorch: moves the hidden layer through memory 4 times.   0.30 ms product + 0.29 ms moving
//   mma        The product itself by mma.sync; the hidden layer in       0.693 ms: mma.sync is the slower
//              registers; half the instructions per GELU.                way on Hopper
//   wgmma      wgmma on packed tile images, bulk copies, a producer      0.390 ms: 607 TFLOP/s of the first
//              warp; one warpgroup's epilogue overlaps the other's       product. 20 us are the tokens kernel,
//              product.                                                  8 us the pack kernel (ncu)
//   small      Maps and tokens in one launch.                            doc-1: 0.015 ms, with wgmma 0.025 ms
//
// Later steps, with the gain that the SASS and the clocks of the units predict. Measured were `cluster`, with
// and without it, and what tokens and pack take in the end: 20 and 8 us. Before them the prediction for vit-b
// in bfloat16 on an H100 was 0.46 to 0.51 ms, of which 0.33 ms are the bare product at cuBLAS's rate.
//
//   tokens     A lane owns an output: 31 shuffles instead of 160, one      40 to 15 us: from 3,000 to 810
//              store instead of 32; pairs of pixels by one load.           instructions a pass of a warp
//   pack       Units of 16 bytes, short divisions, 8 loads in flight.      20 to 6 us: from 115 to 13
//                                                                          instructions an element
//   wgmma      The second warpgroup starts later: see its Note in          Most of the 12 to 14 % in which the
//              maps-wgmma-pipeline.hpp.                                    tensor cores had no work
//              A chunk's product starts before the last one has ended.     100 to 150 clocks for each chunk of
//                                                                          512 during the other warpgroup's
//                                                                          epilogue: 2 to 3 %
//   mma        128 x 128 instead of 64 x 128 per thread block, 16 warps    An A100's shared memory: from 112 to
//              on a multiprocessor instead of 8.                           100 % of the product's time
//   cluster    Two thread blocks shared W1 by multicast. It was slower,    None. vit-b in bfloat16 on an H100:
//              so it was removed.                                         0.443 ms with it, 0.390 ms without
//   launch     The limit of shared memory is raised once per kernel and   2 calls of the CUDA runtime for each
//              device, not at each launch.                                launch
//   counters   The small kernel's last thread block sets the counters     A memset for each launch: 1 device
//              back to zero, by the atomicInc that counts.                operation instead of 2
//
// Tried on the H100 without gain: programmatic dependent launch of all kernels (vit-b 0.398 ms, 0.393 without),
// and all loads of x of a step of the tokens kernel at once (22 us instead of 20).
#include <algorithm>

#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/plan.hpp"
#include "kernels/cuda/views.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

/** One pass: some images of a forward, and its workspace. */
struct Pass {
  const ForwardParams& params;
  const CudaPackedWeights& weights;
  const Plan& plan;
  char* workspace;
  std::uint32_t* counters;
  std::int64_t first_image;
  std::int64_t images;
  WorkspaceLayout layout;
  void* stream;

  std::int64_t pixels() const { return params.height * params.width; }

  ImageView x() const { return image_view(params, first_image, weights.channels); }
  AttentionView attention() const { return attention_view(params, first_image); }

  TokensArgs tokens() const {
    TokensArgs args;
    args.x = x();
    args.channels = static_cast<int>(weights.channels);
    args.tokens = static_cast<int>(weights.tokens);
    args.pixels = pixels();
    args.attention = attention();
    args.token_bias = weights.token_bias;
    args.output = advance(params.tokens, params.dtype, first_image * params.tokens_batch_stride);
    args.output_batch_stride = params.tokens_batch_stride;
    args.output_channel_stride = params.tokens_channel_stride;
    args.output_token_stride = params.tokens_token_stride;
    args.segments = static_cast<int>(segment_count(pixels()));
    args.segment_sums = reinterpret_cast<float*>(workspace + layout.segment_sums);
    if (plan.splits > 1) {
      args.partials = reinterpret_cast<const float*>(workspace + layout.partials);
      args.partial_stride = layout.partial_stride;
      args.partial_lanes = partial_lanes(plan.variant);
      args.tiles = static_cast<int>(tile_count(plan, weights.hidden));
    }
    return args;
  }

  MapsArgs maps() const {
    MapsArgs args;
    args.x_blocks = reinterpret_cast<const std::uint8_t*>(workspace + layout.x_blocks);
    args.weight_blocks = static_cast<const std::uint8_t*>(weights.weight);
    args.bias_and_scale = reinterpret_cast<const Float4*>(weights.bias_and_scale);
    args.token_bias = weights.token_bias;
    args.chunks = static_cast<int>(chunk_count(weights.channels, plan.precision));
    args.hidden_blocks = static_cast<int>(padded_hidden(weights.hidden) / kBlockRows);
    args.tiles = static_cast<int>(tile_count(plan, weights.hidden));
    args.tiles_per_split = tiles_per_split(plan, weights.hidden);
    args.splits = plan.splits;
    args.tokens = static_cast<int>(weights.tokens);
    args.pixel_count = images * pixels();
    args.pixels = pixels();
    args.attention = attention();
    args.partials = reinterpret_cast<float*>(workspace + layout.partials);
    args.partial_stride = layout.partial_stride;
    return args;
  }
};

Status run_simt(const Pass& pass) {
  SimtArgs args;
  args.x = pass.x();
  args.weight = static_cast<const float*>(pass.weights.weight);
  args.bias_and_scale = reinterpret_cast<const Float4*>(pass.weights.bias_and_scale);
  args.token_bias = pass.weights.token_bias;
  args.channels = static_cast<int>(pass.weights.channels);
  args.hidden = static_cast<int>(pass.weights.hidden);
  args.hidden_padded = static_cast<int>(padded_hidden(pass.weights.hidden));
  args.pixel_count = pass.images * pass.pixels();
  args.pixels = pass.pixels();
  args.attention = pass.attention();
  const Status status = launch_maps_simt(args, static_cast<int>(pass.weights.tokens), pass.stream);
  return status == Status::ok ? launch_tokens(pass.tokens(), pass.images, pass.stream) : status;
}

Status run_small(const Pass& pass) {
  SmallArgs args;
  args.x = pass.x();
  args.channels = static_cast<int>(pass.weights.channels);
  args.maps = pass.maps();
  args.tokens = pass.tokens();
  args.pixel_tiles = static_cast<int>(ceil_div<std::int64_t>(pass.pixels(), kSmallTilePixels));
  args.split_counters = pass.counters;
  args.tile_counters = args.split_counters + pass.images * pass.weights.tokens * args.pixel_tiles;
  return launch_small(pass.plan.precision, args, pass.images, pass.stream);
}

Status run_packed(const Pass& pass) {
  const MapsArgs maps = pass.maps();
  PackPixelsArgs pack;
  pack.x = pass.x();
  pack.pixel_count = maps.pixel_count;
  pack.pixels = maps.pixels;
  pack.channels = static_cast<int>(pass.weights.channels);
  pack.chunks = maps.chunks;
  pack.blocks = reinterpret_cast<std::uint8_t*>(pass.workspace + pass.layout.x_blocks);
  Status status = launch_pack_pixels(pass.plan.precision, pack, pass.stream);
  if (status != Status::ok) return status;
  status = pass.plan.variant == Variant::wgmma
               ? launch_maps_wgmma(pass.plan.precision, pass.plan.hidden_tile, maps, pass.stream)
               : launch_maps_mma(pass.plan.precision, maps, pass.stream);
  return status == Status::ok ? launch_tokens(pass.tokens(), pass.images, pass.stream) : status;
}

Status run(const Pass& pass) {
  if (pass.plan.variant == Variant::simt) return run_simt(pass);
  if (pass.plan.variant == Variant::small) return run_small(pass);
  return run_packed(pass);
}

/** The scratch memory is there and large enough. */
bool fits(const Plan& plan, const Scratch& scratch) {
  if (scratch.workspace_bytes < plan.workspace_bytes || scratch.counter_bytes < plan.counter_bytes)
    return false;
  if (plan.counter_bytes > 0 && scratch.counters == nullptr) return false;
  return plan.workspace_bytes == 0 || (scratch.workspace != nullptr && aligned(scratch.workspace, 1024));
}

Status validate(const ForwardParams& params, const CudaPackedWeights& weights, const Plan& plan,
                const Scratch& scratch) {
  if (!is_supported(params.dtype)) return Status::unsupported;
  if (params.batch < 0 || params.height <= 0 || params.width <= 0) return Status::invalid_argument;
  const CudaShape shape{params.batch, weights.channels, weights.hidden, weights.tokens,
                        params.height * params.width};
  const Status sizes = check_sizes(shape, plan.precision);
  if (sizes != Status::ok) return sizes;
  if (params.width > kMostImagePixels / params.height) return Status::unsupported;
  if (params.dtype != element_dtype(weights.precision)) return Status::invalid_argument;
  if (plan.precision != weights.precision) return Status::invalid_argument;
  if (format_of(plan.variant) != weights.format) return Status::invalid_argument;
  if (params.batch == 0) return Status::ok;
  if (params.x == nullptr || params.tokens == nullptr || params.attention == nullptr)
    return Status::invalid_argument;
  return plan.images_per_pass > 0 && fits(plan, scratch) ? Status::ok : Status::invalid_argument;
}

}  // namespace

Status cuda_pack_weights(const WeightsView& weights, Precision precision, Variant variant, void* buffer,
                         std::size_t bytes, CudaPackedWeights* packed, void* stream) {
  if (weights.num_layers != 2 || !is_supported(weights.dtype)) return Status::unsupported;
  if (weights.dtype != element_dtype(precision)) return Status::invalid_argument;
  const CudaShape shape{0, weights.channels, weights.hidden, weights.tokens, 0};
  const Status sizes = check_sizes(shape, precision);
  if (sizes != Status::ok) return sizes;
  const WeightFormat format = format_of(variant);
  const PackedWeightsLayout layout = packed_weights_layout(shape, precision, format);
  if (buffer == nullptr || !aligned(buffer, 1024) || bytes < layout.total) return Status::invalid_argument;

  char* base = static_cast<char*>(buffer);
  PackWeightsArgs args;
  args.weight = weights.layers[0].weight;
  args.bias = weights.layers[0].bias;
  args.scale = weights.layers[1].weight;
  args.token_bias = weights.layers[1].bias;
  args.dtype = weights.dtype;
  args.channels = static_cast<int>(weights.channels);
  args.hidden = static_cast<int>(weights.hidden);
  args.hidden_padded = static_cast<int>(padded_hidden(weights.hidden));
  args.tokens = static_cast<int>(weights.tokens);
  args.chunks = static_cast<int>(chunk_count(weights.channels, precision));
  args.blocks = reinterpret_cast<std::uint8_t*>(base + layout.weight);
  args.bias_and_scale = reinterpret_cast<Float4*>(base + layout.bias_and_scale);
  args.packed_token_bias = reinterpret_cast<float*>(base + layout.token_bias);

  packed->precision = precision;
  packed->format = format;
  packed->channels = weights.channels;
  packed->hidden = weights.hidden;
  packed->tokens = weights.tokens;
  packed->weight = args.blocks;
  packed->bias_and_scale = reinterpret_cast<const float*>(args.bias_and_scale);
  packed->token_bias = args.packed_token_bias;
  return format == WeightFormat::rows ? launch_pack_simt_weights(args, stream)
                                      : launch_pack_weights(precision, args, stream);
}

Status cuda_fused_forward(const ForwardParams& params, const CudaPackedWeights& weights, const Plan& plan,
                          const Scratch& scratch, void* stream) {
  const Status valid = validate(params, weights, plan, scratch);
  if (valid != Status::ok) return valid;
  const CudaShape shape{params.batch, weights.channels, weights.hidden, weights.tokens,
                        params.height * params.width};
  for (std::int64_t first = 0; first < params.batch; first += plan.images_per_pass) {
    const std::int64_t images = std::min(plan.images_per_pass, params.batch - first);
    const Pass pass{params,
                    weights,
                    plan,
                    static_cast<char*>(scratch.workspace),
                    static_cast<std::uint32_t*>(scratch.counters),
                    first,
                    images,
                    workspace_layout(shape, plan, images),
                    stream};
    const Status status = run(pass);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

}  // namespace tokenlearner::kernels::cuda
