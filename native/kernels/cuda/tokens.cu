// Launchers of tokens-body.hpp.
#include "kernels/cuda/device-machine.cuh"
#include "kernels/cuda/launch-check.hpp"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/tokens-body.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

template <DType kDType, bool kChannelsLast>
__global__ void __launch_bounds__(kTokensThreads, kChannelsLast ? 3 : 2) tokens(TokensArgs args) {
  DeviceMachine machine;
  tokens_body<kDType, kChannelsLast>(machine, args);
}

__global__ void __launch_bounds__(kTokensThreads) add_segments(TokensArgs args) {
  DeviceMachine machine;
  add_segments_body(machine, args);
}

using TokensKernel = void (*)(TokensArgs);

template <bool kChannelsLast>
TokensKernel tokens_kernel(DType dtype) {
  if (dtype == DType::float32) return tokens<DType::float32, kChannelsLast>;
  return dtype == DType::float16 ? tokens<DType::float16, kChannelsLast>
                                 : tokens<DType::bfloat16, kChannelsLast>;
}

}  // namespace

Status launch_tokens(const TokensArgs& args, std::int64_t images, void* stream) {
  const bool channels_last = is_channels_last(args.x.channel_stride, args.x.pixel_stride);
  const Status status =
      launch_kernel(channels_last ? tokens_kernel<true>(args.x.dtype) : tokens_kernel<false>(args.x.dtype),
                    ceil_div(args.channels, kTokensChannels), args.segments, images, kTokensThreads,
                    kTokensSharedBytes, args, stream);
  if (status != Status::ok || args.segments == 1) return status;
  const std::int64_t outputs = static_cast<std::int64_t>(args.channels) * args.tokens;
  return launch_kernel(add_segments, ceil_div<std::int64_t>(outputs, kTokensThreads), images, 1,
                       kTokensThreads, 0, args, stream);
}

}  // namespace tokenlearner::kernels::cuda
