// Launchers of maps-wgmma-body.hpp. This file is compiled only for sm_90a. plan.cpp never chooses it for
// other devices.
#include "kernels/cuda/launch-check.hpp"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/maps-wgmma-body.hpp"
#include "kernels/cuda/wgmma-machine.cuh"

namespace tokenlearner::kernels::cuda {
namespace {

template <class Traits>
__global__ void __launch_bounds__(Traits::kThreads, Traits::kBlocksPerMultiprocessor)
    maps_wgmma(MapsArgs args) {
  WgmmaMachine machine;
  maps_wgmma_body<Traits>(machine, args);
}

template <class Traits>
Status launch(const MapsArgs& args, void* stream) {
  static constinit SharedLimit limit;
  return launch_kernel(maps_wgmma<Traits>, ceil_div<std::int64_t>(args.pixel_count, kWgmmaTilePixels),
                       args.splits, args.tokens, Traits::kThreads, Traits::kSharedBytes, args, stream,
                       &limit);
}

template <Precision kPrecision>
Status launch_shape(int hidden_tile, const MapsArgs& args, void* stream) {
  if (hidden_tile == kWideHiddenTile) return launch<WgmmaTraits<kPrecision, kWideHiddenTile>>(args, stream);
  return launch<WgmmaTraits<kPrecision, kHiddenGranule>>(args, stream);
}

}  // namespace

Status launch_maps_wgmma(Precision precision, int hidden_tile, const MapsArgs& args, void* stream) {
  switch (precision) {
    case Precision::float32:
      return launch<WgmmaTraits<Precision::float32, kHiddenGranule>>(args, stream);
    case Precision::tf32:
      return launch_shape<Precision::tf32>(hidden_tile, args, stream);
    case Precision::bfloat16:
      return launch_shape<Precision::bfloat16>(hidden_tile, args, stream);
    case Precision::float16:
      return launch_shape<Precision::float16>(hidden_tile, args, stream);
  }
  return Status::invalid_argument;
}

}  // namespace tokenlearner::kernels::cuda
