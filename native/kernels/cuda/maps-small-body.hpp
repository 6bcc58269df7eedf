#pragma once
#include "kernels/cuda/tiling.hpp"
namespace tokenlearner::kernels::cuda {
inline constexpr int kSmallTilePixels = 32;
inline constexpr int kSmallWarps = 4;
constexpr std::size_t small_shared_bytes(Precision, int) { return 1u << 30; }
}
