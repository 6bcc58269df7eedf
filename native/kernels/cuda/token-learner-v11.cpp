// TokenLearner v1.1 on CUDA: its plan, and its forward as kernel launches.
#include <algorithm>
#include <limits>

#include "kernels/cuda/norm-mlp-launch.hpp"
#include "kernels/cuda/norm-plan.hpp"
#include "kernels/cuda/token-learner-v11-body.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

/** Images are a dimension of a grid, which has this limit. */
constexpr std::int64_t kMostImages = 65535;

struct Shares {
  std::int64_t count, tiles;
};

Shares shares_of(std::int64_t pixels) {
  const std::int64_t tiles = ceil_div<std::int64_t>(pixels, kNormPixels);
  const std::int64_t each = ceil_div<std::int64_t>(tiles, kMostShares);
  return {ceil_div(tiles, each), each};
}

/** Offsets, in floats, of what a pass keeps in the workspace. */
struct Workspace {
  std::int64_t largest, sum, share_largest, share_sum, share_y, total;
};

Workspace workspace_of(std::int64_t images, std::int64_t channels, std::int64_t tokens, std::int64_t shares) {
  const std::int64_t all = images * tokens, parts = all * shares;
  return {0, all, 2 * all, 2 * all + parts, 2 * (all + parts), 2 * (all + parts) + parts * channels};
}

}  // namespace

bool has_tiles_in_shares(std::int64_t pixels) { return shares_of(pixels).tiles > 1; }

NormPlan plan_v11(const CudaShape& shape, Precision precision, const DeviceProperties& device) {
  const Shares shares = shares_of(shape.pixels);
  const std::int64_t floats = workspace_of(1, shape.channels, shape.tokens, shares.count).total;
  NormPlan plan = norm_plan(shape.batch, static_cast<std::size_t>(floats) * sizeof(float), kMostImages);
  const int tokens = static_cast<int>(std::min<std::int64_t>(shape.tokens, kV11Tokens));
  plan.resident = v11_shared_bytes(precision, true, shape.channels, tokens) <= device.shared_memory_per_block;
  return plan;
}

Status cuda_v11_forward(const ForwardParams& params, const CudaNormMlp& weights, const NormPlan& plan,
                        void* workspace, std::size_t workspace_bytes, void* stream) {
  const Status valid = check_norm_forward(params, weights, plan, workspace, workspace_bytes);
  if (valid != Status::ok) return valid;
  const Shares shares = shares_of(params.height * params.width);
  for (std::int64_t first = 0; first < params.batch; first += plan.images_per_pass) {
    const std::int64_t images = std::min(plan.images_per_pass, params.batch - first);
    const Workspace at = workspace_of(images, weights.channels, weights.tokens, shares.count);
    auto* const floats = static_cast<float*>(workspace);
    V11Args args;
    args.rows = norm_rows_args(params, first, weights);
    args.mlp = mlp_args(weights);
    args.tokens = static_cast<int>(weights.tokens);
    args.shares = static_cast<int>(shares.count);
    args.tiles_per_share = static_cast<int>(shares.tiles);
    if (params.attention != nullptr) args.attention = attention_view(params, first);
    args.largest = floats + at.largest;
    args.sum = floats + at.sum;
    args.share_largest = floats + at.share_largest;
    args.share_sum = floats + at.share_sum;
    args.share_y = floats + at.share_y;
    args.output = advance(params.tokens, params.dtype, first * params.tokens_batch_stride);
    args.output_batch_stride = params.tokens_batch_stride;
    args.output_channel_stride = params.tokens_channel_stride;
    args.output_token_stride = params.tokens_token_stride;
    Status status = launch_v11_shares(weights.precision, plan.resident, args, images, stream);
    if (status == Status::ok) status = launch_v11_merge(args, images, stream);
    if (status == Status::ok && params.attention != nullptr) status = launch_v11_maps(args, images, stream);
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

}  // namespace tokenlearner::kernels::cuda
