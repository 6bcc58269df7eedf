// Launchers of token-fuser-body.hpp.
#include "kernels/cuda/device-machine.cuh"
#include "kernels/cuda/launch-check.hpp"
#include "kernels/cuda/token-fuser-body.hpp"
#include "kernels/cuda/token-fuser-launch.hpp"
#include "kernels/cuda/with-precision.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

__global__ void __launch_bounds__(kNormThreads) token_mix(MixArgs args) {
  DeviceMachine machine;
  token_mix_body(machine, args);
}

template <Precision kPrecision, bool kResident>
__global__ void __launch_bounds__(kNormThreads, 2) token_spread(SpreadArgs args) {
  DeviceMachine machine;
  token_spread_body<kPrecision, kResident>(machine, args);
}

template <Precision kPrecision, bool kResident>
Status launch(const SpreadArgs& args, std::int64_t images, void* stream) {
  static constinit SharedLimit limit;
  return launch_kernel(token_spread<kPrecision, kResident>, images * args.tiles, 1, 1, kNormThreads,
                       spread_shared_bytes(kPrecision, kResident, args.rows.channels, args.tokens), args,
                       stream, &limit);
}

}  // namespace

Status launch_token_mix(const MixArgs& args, std::int64_t images, void* stream) {
  static constinit SharedLimit limit;
  return launch_kernel(token_mix, images, 1, 1, kNormThreads, mix_shared_bytes(args.tokens), args, stream,
                       &limit);
}

Status launch_token_spread(Precision precision, bool resident, const SpreadArgs& args, std::int64_t images,
                           void* stream) {
  return with_tile(precision, resident, [&](auto chosen, auto in_shared) {
    return launch<decltype(chosen)::value, decltype(in_shared)::value>(args, images, stream);
  });
}

}  // namespace tokenlearner::kernels::cuda
