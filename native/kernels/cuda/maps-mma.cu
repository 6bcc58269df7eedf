// Launchers of maps-mma-body.hpp: sm_80 and later.
#include "kernels/cuda/device-machine.cuh"
#include "kernels/cuda/launch-check.hpp"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/maps-mma-body.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

template <class Traits>
__global__ void __launch_bounds__(Traits::kThreads, 2) maps_mma(MapsArgs args) {
  DeviceMachine machine;
  maps_mma_body<Traits>(machine, args);
}

template <Precision kPrecision>
Status launch(const MapsArgs& args, void* stream) {
  using Traits = MmaTraits<kPrecision>;
  static constinit SharedLimit limit;
  return launch_kernel(maps_mma<Traits>, ceil_div<std::int64_t>(args.pixel_count, Traits::kPixels),
                       args.splits, args.tokens, Traits::kThreads, Traits::kSharedBytes, args, stream,
                       &limit);
}

}  // namespace

Status launch_maps_mma(Precision precision, const MapsArgs& args, void* stream) {
  switch (precision) {
    case Precision::float32:
      return launch<Precision::float32>(args, stream);
    case Precision::tf32:
      return launch<Precision::tf32>(args, stream);
    case Precision::bfloat16:
      return launch<Precision::bfloat16>(args, stream);
    case Precision::float16:
      return launch<Precision::float16>(args, stream);
  }
  return Status::invalid_argument;
}

}  // namespace tokenlearner::kernels::cuda
