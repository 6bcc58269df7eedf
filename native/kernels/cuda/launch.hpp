// One function per kernel: it chooses the grid and the shared memory, launches, and checks. `stream` is a
// cudaStream_t.
#pragma once

#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/maps-small-body.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner::kernels::cuda {

Status launch_pack_pixels(Precision precision, const PackPixelsArgs& args, void* stream);
Status launch_pack_weights(Precision precision, const PackWeightsArgs& args, void* stream);
/** W1's blocks alone. */
Status launch_pack_rows(Precision precision, const PackWeightsArgs& args, void* stream);
Status launch_widen(const WidenArgs& args, void* stream);
Status launch_pack_simt_weights(const PackWeightsArgs& args, void* stream);
Status launch_maps_mma(Precision precision, const MapsArgs& args, void* stream);
Status launch_maps_wgmma(Precision precision, int hidden_tile, const MapsArgs& args, void* stream);
Status launch_maps_simt(const SimtArgs& args, int tokens, void* stream);
Status launch_small(Precision precision, const SmallArgs& args, std::int64_t images, void* stream);
Status launch_tokens(const TokensArgs& args, std::int64_t images, void* stream);

}  // namespace tokenlearner::kernels::cuda
