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

/** In clusters of two thread blocks. */
template <class Traits>
__global__ void __cluster_dims__(2, 1, 1)
    __launch_bounds__(Traits::kThreads, Traits::kBlocksPerMultiprocessor) maps_wgmma_pairs(MapsArgs args) {
  WgmmaMachine machine;
  maps_wgmma_body<Traits>(machine, args);
}

template <class Traits>
Status launch(const MapsArgs& args, void* stream) {
  static constinit SharedLimit limit;
  const std::int64_t tiles = ceil_div<std::int64_t>(args.pixel_count, kWgmmaTilePixels);
  const auto start = [&](void (*kernel)(MapsArgs)) {
    return launch_kernel(kernel, round_up<std::int64_t>(tiles, Traits::kCluster), args.splits, args.tokens,
                         Traits::kThreads, Traits::kSharedBytes, args, stream, &limit);
  };
  if constexpr (Traits::kCluster == 1) {
    return start(maps_wgmma<Traits>);
  } else {
    return start(maps_wgmma_pairs<Traits>);
  }
}

template <Precision kPrecision, int kHiddenTile>
Status launch_clusters(int cluster, const MapsArgs& args, void* stream) {
  if (cluster == kMostCluster)
    return launch<WgmmaTraits<kPrecision, kHiddenTile, kMostCluster>>(args, stream);
  return launch<WgmmaTraits<kPrecision, kHiddenTile, 1>>(args, stream);
}

template <Precision kPrecision>
Status launch_shape(int hidden_tile, int cluster, const MapsArgs& args, void* stream) {
  if (hidden_tile == kWideHiddenTile)
    return launch_clusters<kPrecision, kWideHiddenTile>(cluster, args, stream);
  return launch_clusters<kPrecision, kHiddenGranule>(cluster, args, stream);
}

}  // namespace

Status launch_maps_wgmma(Precision precision, int hidden_tile, int cluster, const MapsArgs& args,
                         void* stream) {
  switch (precision) {
    case Precision::float32:
      return launch_clusters<Precision::float32, kHiddenGranule>(cluster, args, stream);
    case Precision::tf32:
      return launch_shape<Precision::tf32>(hidden_tile, cluster, args, stream);
    case Precision::bfloat16:
      return launch_shape<Precision::bfloat16>(hidden_tile, cluster, args, stream);
    case Precision::float16:
      return launch_shape<Precision::float16>(hidden_tile, cluster, args, stream);
  }
  return Status::invalid_argument;
}

}  // namespace tokenlearner::kernels::cuda
