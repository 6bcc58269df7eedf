// Launchers of token-fuser-body.hpp.
#include "kernels/cuda/device-machine.cuh"
#include "kernels/cuda/launch-check.hpp"
#include "kernels/cuda/token-fuser-body.hpp"
#include "kernels/cuda/token-fuser-launch.hpp"

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

template <Precision kPrecision>
Status launch(bool resident, const SpreadArgs& args, std::int64_t images, void* stream) {
  return resident ? launch<kPrecision, true>(args, images, stream)
                  : launch<kPrecision, false>(args, images, stream);
}

}  // namespace

Status launch_token_mix(const MixArgs& args, std::int64_t images, void* stream) {
  static constinit SharedLimit limit;
  return launch_kernel(token_mix, images, 1, 1, kNormThreads, mix_shared_bytes(args.tokens), args, stream,
                       &limit);
}

Status launch_token_spread(Precision precision, bool resident, const SpreadArgs& args, std::int64_t images,
                           void* stream) {
  switch (precision) {
    case Precision::float32:
      return launch<Precision::float32>(resident, args, images, stream);
    case Precision::tf32:
      return launch<Precision::tf32>(resident, args, images, stream);
    case Precision::bfloat16:
      return launch<Precision::bfloat16>(resident, args, images, stream);
    case Precision::float16:
      return launch<Precision::float16>(resident, args, images, stream);
  }
  return Status::invalid_argument;
}

}  // namespace tokenlearner::kernels::cuda
