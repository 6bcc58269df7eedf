// Launcher of maps-simt-body.hpp.
#include "kernels/cuda/device-machine.cuh"
#include "kernels/cuda/launch-check.hpp"
#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/maps-simt-body.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

__global__ void __launch_bounds__(kSimtThreads) maps_simt(SimtArgs args) {
  DeviceMachine machine;
  maps_simt_body(machine, args);
}

}  // namespace

Status launch_maps_simt(const SimtArgs& args, int tokens, void* stream) {
  return launch_kernel(maps_simt, ceil_div<std::int64_t>(args.pixel_count, kSimtPixels), tokens, 1,
                       kSimtThreads, kSimtSharedBytes, args, stream);
}

}  // namespace tokenlearner::kernels::cuda
