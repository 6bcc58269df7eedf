// TokenLearner v1.0 on CUDA: its parameters, its plan, and its forward as kernel launches.
#include <algorithm>
#include <limits>

#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/norm-plan.hpp"
#include "kernels/cuda/pack-vectors.hpp"
#include "kernels/cuda/token-learner-v10-body.hpp"
#include "kernels/cuda/token-learner-v10-cuda.hpp"
#include "kernels/cuda/token-learner-v10-launch.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

/** Images are a dimension of a grid, which has this limit. */
constexpr std::int64_t kMostImages = 65535;
/** So that 9 G fits in 32 bits, and G in a dimension of a grid. */
constexpr std::int64_t kMostTokens = 65535;

NormMlpView first_view(const TokenLearnerV10View& view) {
  NormMlpView first;
  first.channels = view.channels;
  first.hidden = kTaps * view.tokens;
  first.tokens = view.tokens;
  first.dtype = view.dtype;
  first.activation = Activation::none;
  first.eps = view.eps;
  first.norm_weight = view.norm_weight;
  first.norm_bias = view.norm_bias;
  first.first_weight = view.convolutions[0];
  return first;
}

/** Where the other convolutions begin in the buffer, in bytes. */
std::size_t convolution_offset(const TokenLearnerV10View& view, Precision precision) {
  return round_up<std::size_t>(cuda_norm_mlp_bytes(first_view(view), precision), 1024);
}

std::int64_t tiles_of(std::int64_t pixels) { return ceil_div<std::int64_t>(pixels, kNormPixels); }

/** Offsets, in floats, of what a pass keeps in the workspace: the taps' products, two sets of planes, and sums of x. */
struct Workspace {
  std::int64_t products, planes[2], segment_sums, total;
};

Workspace workspace_of(std::int64_t images, std::int64_t channels, std::int64_t tokens, std::int64_t pixels) {
  const std::int64_t planes = images * tokens * pixels;
  const std::int64_t segments = segment_count(pixels);
  const std::int64_t sums = segments > 1 ? images * segments * channels * tokens : 0;
  return {0, {kTaps * planes, (kTaps + 1) * planes}, (kTaps + 2) * planes, (kTaps + 2) * planes + sums};
}

/** One pass: some images of a forward, and its workspace. */
struct Pass {
  const ForwardParams& params;
  const CudaTokenLearnerV10& weights;
  const NormPlan& plan;
  float* workspace;
  std::int64_t first_image;
  std::int64_t images;
  void* stream;

  std::int64_t pixels() const { return params.height * params.width; }
  Workspace at() const { return workspace_of(images, weights.first.channels, weights.tokens, pixels()); }

  AttentionView planes(int which) const {
    return {workspace + at().planes[which], weights.tokens * pixels(), pixels()};
  }
  /** Where the maps go. */
  AttentionView maps() const {
    return params.attention == nullptr ? planes(1) : attention_view(params, first_image);
  }

  TapsArgs taps() const {
    TapsArgs args;
    args.rows = norm_rows_args(params, first_image, weights.first);
    args.tiles = static_cast<int>(tiles_of(pixels()));
    args.taps = static_cast<int>(kTaps * weights.tokens);
    args.products = workspace + at().products;
    return args;
  }

  PlanesArgs convolution(const float* in, const float* kernel, const AttentionView& out) const {
    PlanesArgs args;
    args.in = in;
    args.weights = kernel;
    args.tokens = static_cast<int>(weights.tokens);
    args.height = static_cast<int>(params.height);
    args.width = static_cast<int>(params.width);
    args.activation = weights.activation;
    args.out = out;
    return args;
  }

  TokensArgs tokens() const {
    TokensArgs args;
    args.x = image_view(params, first_image, weights.first.channels);
    args.channels = static_cast<int>(weights.first.channels);
    args.tokens = static_cast<int>(weights.tokens);
    args.pixels = pixels();
    args.attention = maps();
    args.output = advance(params.tokens, params.dtype, first_image * params.tokens_batch_stride);
    args.output_batch_stride = params.tokens_batch_stride;
    args.output_channel_stride = params.tokens_channel_stride;
    args.output_token_stride = params.tokens_token_stride;
    args.segments = static_cast<int>(segment_count(pixels()));
    args.segment_sums = workspace + at().segment_sums;
    args.is_sum = !weights.takes_mean;
    return args;
  }

  Status run() const {
    Status status = launch_taps(weights.first.precision, plan.resident, taps(), images, stream);
    if (status != Status::ok) return status;
    status = launch_sum_taps(convolution(workspace + at().products, nullptr, planes(0)), images, stream);
    for (int i = 0; i < 3 && status == Status::ok; ++i) {
      const bool is_last = i == 2;
      PlanesArgs args =
          convolution(planes(i % 2).data, weights.convolutions[i], is_last ? maps() : planes((i + 1) % 2));
      args.makes_maps = is_last;
      status = launch_convolve(args, images, stream);
    }
    return status == Status::ok ? launch_tokens(tokens(), images, stream) : status;
  }
};

}  // namespace

std::size_t cuda_token_learner_v10_bytes(const TokenLearnerV10View& view, Precision precision) {
  VectorSizes sizes;
  for (int i = 0; i < 3; ++i) sizes.place(view.tokens * view.tokens * kTaps);
  return convolution_offset(view, precision) + sizes.bytes();
}

Status cuda_pack_token_learner_v10(const TokenLearnerV10View& view, Precision precision, void* buffer,
                                   std::size_t bytes, CudaTokenLearnerV10* packed, void* stream) {
  if (view.tokens > kMostTokens) return Status::unsupported;
  const Status status =
      cuda_pack_norm_mlp(first_view(view), precision, buffer, bytes, &packed->first, stream);
  if (status != Status::ok) return status;
  if (bytes < cuda_token_learner_v10_bytes(view, precision)) return Status::invalid_argument;
  packed->tokens = view.tokens;
  packed->activation = view.activation;
  packed->takes_mean = view.takes_mean;
  VectorPacking vectors(static_cast<char*>(buffer) + convolution_offset(view, precision), view.dtype, stream);
  for (int i = 0; i < 3; ++i)
    packed->convolutions[i] = vectors.pack(view.convolutions[i + 1], view.tokens * view.tokens * kTaps);
  return vectors.status();
}

NormPlan plan_v10(const CudaShape& shape, Precision precision, const DeviceProperties& device) {
  const std::int64_t floats = workspace_of(1, shape.channels, shape.tokens, shape.pixels).total;
  const std::int64_t blocks =
      std::numeric_limits<std::int32_t>::max() / std::max<std::int64_t>(tiles_of(shape.pixels), 1);
  NormPlan plan =
      norm_plan(shape.batch, static_cast<std::size_t>(floats) * sizeof(float), std::min(kMostImages, blocks));
  plan.resident = taps_shared_bytes(precision, true, shape.channels) <= device.shared_memory_per_block;
  return plan;
}

Status cuda_v10_forward(const ForwardParams& params, const CudaTokenLearnerV10& weights, const NormPlan& plan,
                        void* workspace, std::size_t workspace_bytes, void* stream) {
  const Status valid = check_norm_forward(params, weights.first, plan, workspace, workspace_bytes);
  if (valid != Status::ok) return valid;
  for (std::int64_t first = 0; first < params.batch; first += plan.images_per_pass) {
    const std::int64_t images = std::min(plan.images_per_pass, params.batch - first);
    const Pass pass{params, weights, plan, static_cast<float*>(workspace), first, images, stream};
    const Status status = pass.run();
    if (status != Status::ok) return status;
  }
  return Status::ok;
}

}  // namespace tokenlearner::kernels::cuda
