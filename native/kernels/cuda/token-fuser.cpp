// TokenFuser on CUDA: its parameters, its plan, and its forward as kernel launches.
#include <algorithm>
#include <limits>

#include "kernels/cuda/norm-plan.hpp"
#include "kernels/cuda/pack-vectors.hpp"
#include "kernels/cuda/token-fuser-body.hpp"
#include "kernels/cuda/token-fuser-cuda.hpp"
#include "kernels/cuda/token-fuser-launch.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

/** Where the mix begins in the buffer, in bytes. */
std::size_t mix_offset(const TokenFuserView& view, Precision precision) {
  return round_up<std::size_t>(cuda_norm_mlp_bytes(view.mlp, precision), 1024);
}

MixArgs mix_args(const TokenFuserParams& params, std::int64_t first, const CudaTokenFuser& weights) {
  MixArgs args;
  args.source = advance(params.tokens, params.dtype, first * params.tokens_batch_stride);
  args.dtype = params.dtype;
  args.batch_stride = params.tokens_batch_stride;
  args.channel_stride = params.tokens_channel_stride;
  args.token_stride = params.tokens_token_stride;
  args.channels = static_cast<int>(weights.mlp.channels);
  args.tokens = static_cast<int>(weights.mlp.tokens);
  args.eps = weights.mlp.eps;
  args.weight = weights.mix_weight;
  args.bias = weights.mix_bias;
  args.norm1_weight = weights.norm1_weight;
  args.norm1_bias = weights.norm1_bias;
  args.norm2_weight = weights.norm2_weight;
  args.norm2_bias = weights.norm2_bias;
  return args;
}

std::int64_t tiles_of(std::int64_t pixels) { return ceil_div<std::int64_t>(pixels, kNormPixels); }

SpreadArgs spread_args(const TokenFuserParams& params, std::int64_t first, const CudaTokenFuser& weights) {
  const std::int64_t pixels = params.height * params.width;
  SpreadArgs args;
  args.rows = norm_rows_args(params, first, weights.mlp);
  args.mlp = mlp_args(weights.mlp);
  args.tokens = static_cast<int>(weights.mlp.tokens);
  args.tiles = static_cast<int>(tiles_of(pixels));
  if (params.attention != nullptr) {
    args.attention = {static_cast<float*>(params.attention) + first * weights.mlp.tokens * pixels,
                      weights.mlp.tokens * pixels, pixels};
  }
  args.output = advance(params.out, params.dtype, first * weights.mlp.channels * pixels);
  args.out_channels_last = params.out_channels_last;
  return args;
}

}  // namespace

std::size_t cuda_token_fuser_bytes(const TokenFuserView& view, Precision precision) {
  VectorSizes sizes;
  sizes.place(view.mlp.tokens * view.mlp.tokens);
  sizes.place(view.mlp.tokens);
  for (int i = 0; i < 4; ++i) sizes.place(view.mlp.channels);
  return mix_offset(view, precision) + sizes.bytes();
}

Status cuda_pack_token_fuser(const TokenFuserView& view, Precision precision, void* buffer, std::size_t bytes,
                             CudaTokenFuser* packed, void* stream) {
  const Status status = cuda_pack_norm_mlp(view.mlp, precision, buffer, bytes, &packed->mlp, stream);
  if (status != Status::ok) return status;
  if (bytes < cuda_token_fuser_bytes(view, precision)) return Status::invalid_argument;
  const std::int64_t channels = view.mlp.channels, tokens = view.mlp.tokens;
  VectorPacking vectors(static_cast<char*>(buffer) + mix_offset(view, precision), view.mlp.dtype, stream);
  packed->mix_weight = vectors.pack(view.mix_weight, tokens * tokens);
  packed->mix_bias = vectors.pack(view.mix_bias, tokens);
  if (view.norm1_weight == nullptr) return vectors.status();
  packed->norm1_weight = vectors.pack(view.norm1_weight, channels);
  packed->norm1_bias = vectors.pack(view.norm1_bias, channels);
  packed->norm2_weight = vectors.pack(view.norm2_weight, channels);
  packed->norm2_bias = vectors.pack(view.norm2_bias, channels);
  return vectors.status();
}

NormPlan plan_token_fuser(const CudaShape& shape, Precision precision, const DeviceProperties& device) {
  const auto bytes = static_cast<std::size_t>(shape.channels * shape.tokens) * sizeof(float);
  const std::int64_t most =
      std::numeric_limits<std::int32_t>::max() / std::max<std::int64_t>(tiles_of(shape.pixels), 1);
  NormPlan plan = norm_plan(shape.batch, bytes, most);
  const auto tokens = static_cast<int>(std::min(shape.tokens, kMostFuserTokens));
  plan.resident =
      spread_shared_bytes(precision, true, shape.channels, tokens) <= device.shared_memory_per_block;
  return plan;
}

Status cuda_token_fuser_forward(const TokenFuserParams& params, const CudaTokenFuser& weights,
                                const NormPlan& plan, void* workspace, std::size_t workspace_bytes,
                                void* stream) {
  const Status valid = check_norm_forward(params, weights.mlp, plan, workspace, workspace_bytes);
  if (valid != Status::ok || params.batch == 0) return valid;
  if (params.out == nullptr) return Status::invalid_argument;
  if (weights.mlp.tokens > kMostFuserTokens) return Status::unsupported;
  for (std::int64_t first = 0; first < params.batch; first += plan.images_per_pass) {
    const std::int64_t images = std::min(plan.images_per_pass, params.batch - first);
    MixArgs mix = mix_args(params, first, weights);
    mix.mixed = static_cast<float*>(workspace);
    SpreadArgs spread = spread_args(params, first, weights);
    spread.mixed = mix.mixed;
    Status status = launch_token_mix(mix, images, stream);
    if (status == Status::ok)
      status = launch_token_spread(weights.mlp.precision, plan.resident, spread, images, stream);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

}  // namespace tokenlearner::kernels::cuda
