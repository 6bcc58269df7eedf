// Launchers of maps-small-body.hpp.
#include "kernels/cuda/device-machine.cuh"
#include "kernels/cuda/launch-check.hpp"
#include "kernels/cuda/launch.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

template <class Traits>
__global__ void __launch_bounds__(Traits::kThreads, 2) maps_small(SmallArgs args) {
  DeviceMachine machine;
  maps_small_body<Traits>(machine, args);
}

template <Precision kPrecision>
Status launch(const SmallArgs& args, std::int64_t images, void* stream) {
  using Traits = SmallTraits<kPrecision>;
  static constinit SharedLimit limit;
  return launch_kernel(maps_small<Traits>, images * args.pixel_tiles, args.maps.splits, args.maps.tokens,
                       Traits::kThreads, small_shared_bytes(kPrecision, args.maps.chunks), args, stream,
                       &limit);
}

}  // namespace

Status launch_small(Precision precision, const SmallArgs& args, std::int64_t images, void* stream) {
  switch (precision) {
    case Precision::float32:
      return launch<Precision::float32>(args, images, stream);
    case Precision::tf32:
      return launch<Precision::tf32>(args, images, stream);
    case Precision::bfloat16:
      return launch<Precision::bfloat16>(args, images, stream);
    case Precision::float16:
      return launch<Precision::float16>(args, images, stream);
  }
  return Status::invalid_argument;
}

}  // namespace tokenlearner::kernels::cuda
