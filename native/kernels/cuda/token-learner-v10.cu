// Launchers of token-learner-v10-body.hpp.
#include "kernels/cuda/device-machine.cuh"
#include "kernels/cuda/launch-check.hpp"
#include "kernels/cuda/token-learner-v10-body.hpp"
#include "kernels/cuda/token-learner-v10-launch.hpp"
#include "kernels/cuda/with-precision.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

template <Precision kPrecision, bool kResident>
__global__ void __launch_bounds__(kNormThreads, 2) taps(TapsArgs args) {
  DeviceMachine machine;
  taps_body<kPrecision, kResident>(machine, args);
}

__global__ void __launch_bounds__(kNormThreads) sum_taps(PlanesArgs args) {
  DeviceMachine machine;
  sum_taps_body(machine, args);
}

__global__ void __launch_bounds__(kNormThreads) convolve(PlanesArgs args) {
  DeviceMachine machine;
  convolve_body(machine, args);
}

template <Precision kPrecision, bool kResident>
Status launch(const TapsArgs& args, std::int64_t images, void* stream) {
  static constinit SharedLimit limit;
  return launch_kernel(taps<kPrecision, kResident>, images * args.tiles, 1, 1, kNormThreads,
                       taps_shared_bytes(kPrecision, kResident, args.rows.channels), args, stream, &limit);
}

std::int64_t pixel_blocks_of(const PlanesArgs& args) {
  return ceil_div<std::int64_t>(static_cast<std::int64_t>(args.height) * args.width, kNormThreads);
}

}  // namespace

Status launch_taps(Precision precision, bool resident, const TapsArgs& args, std::int64_t images,
                   void* stream) {
  return with_tile(precision, resident, [&](auto chosen, auto in_shared) {
    return launch<decltype(chosen)::value, decltype(in_shared)::value>(args, images, stream);
  });
}

Status launch_sum_taps(const PlanesArgs& args, std::int64_t images, void* stream) {
  return launch_kernel(sum_taps, pixel_blocks_of(args), args.tokens, images, kNormThreads, 0, args, stream);
}

Status launch_convolve(const PlanesArgs& args, std::int64_t images, void* stream) {
  return launch_kernel(convolve, pixel_blocks_of(args), ceil_div(args.tokens, kPlanesPerThread), images,
                       kNormThreads, 0, args, stream);
}

}  // namespace tokenlearner::kernels::cuda
