// Launchers of tokens-body.hpp.
#include "kernels/cuda/device-machine.cuh"
#include "kernels/cuda/launch-check.hpp"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/tokens-body.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

template <bool kChannelsLast>
__global__ void __launch_bounds__(kTokensThreads) tokens(TokensArgs args) {
  DeviceMachine machine;
  tokens_body<kChannelsLast>(machine, args);
}

__global__ void __launch_bounds__(kTokensThreads) add_segments(TokensArgs args) {
  DeviceMachine machine;
  add_segments_body(machine, args);
}

}  // namespace

Status launch_tokens(const TokensArgs& args, std::int64_t images, void* stream) {
  const bool channels_last = args.x.channel_stride == 1 && args.x.pixel_stride != 1;
  const Status status =
      launch_kernel(channels_last ? tokens<true> : tokens<false>, ceil_div(args.channels, kTokensChannels),
                    args.segments, images, kTokensThreads, kTokensSharedBytes, args, stream);
  if (status != Status::ok || args.segments == 1) return status;
  const std::int64_t outputs = static_cast<std::int64_t>(args.channels) * args.tokens;
  return launch_kernel(add_segments, ceil_div<std::int64_t>(outputs, kTokensThreads), images, 1,
                       kTokensThreads, 0, args, stream);
}

}  // namespace tokenlearner::kernels::cuda
