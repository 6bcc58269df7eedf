// Launchers of token-learner-v11-body.hpp.
#include "kernels/cuda/device-machine.cuh"
#include "kernels/cuda/launch-check.hpp"
#include "kernels/cuda/norm-mlp-launch.hpp"
#include "kernels/cuda/token-learner-v11-body.hpp"
#include "kernels/cuda/with-precision.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

template <Precision kPrecision, bool kResident>
__global__ void __launch_bounds__(kNormThreads, 2) v11_shares(V11Args args) {
  DeviceMachine machine;
  v11_shares_body<kPrecision, kResident>(machine, args);
}

__global__ void __launch_bounds__(kNormThreads) v11_merge(V11Args args) {
  DeviceMachine machine;
  v11_merge_body(machine, args);
}

__global__ void __launch_bounds__(kNormThreads) v11_maps(V11Args args) {
  DeviceMachine machine;
  v11_maps_body(machine, args);
}

template <Precision kPrecision, bool kResident>
Status launch(const V11Args& args, std::int64_t images, void* stream) {
  static constinit SharedLimit limit;
  return launch_kernel(
      v11_shares<kPrecision, kResident>, images * args.shares, ceil_div(args.tokens, kV11Tokens), 1,
      kNormThreads,
      v11_shared_bytes(kPrecision, kResident, args.rows.channels, min_of(args.tokens, kV11Tokens)), args,
      stream, &limit);
}

}  // namespace

Status launch_v11_shares(Precision precision, bool resident, const V11Args& args, std::int64_t images,
                         void* stream) {
  return with_tile(precision, resident, [&](auto chosen, auto in_shared) {
    return launch<decltype(chosen)::value, decltype(in_shared)::value>(args, images, stream);
  });
}

Status launch_v11_merge(const V11Args& args, std::int64_t images, void* stream) {
  return launch_kernel(v11_merge, ceil_div(args.rows.channels, kNormThreads), args.tokens, images,
                       kNormThreads, 0, args, stream);
}

Status launch_v11_maps(const V11Args& args, std::int64_t images, void* stream) {
  return launch_kernel(v11_maps, ceil_div<std::int64_t>(args.rows.pixels, kNormThreads), args.tokens, images,
                       kNormThreads, 0, args, stream);
}

}  // namespace tokenlearner::kernels::cuda
