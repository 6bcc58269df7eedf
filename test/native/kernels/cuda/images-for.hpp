// The sizes of cases whose errors are a statistic.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/portable.hpp"

namespace tokenlearner::kernels::cuda::test {

/** The error of a few numbers is a matter of luck: so many images that there are at least 64 tokens and maps. */
inline std::int64_t images_for(std::int64_t channels, std::int64_t tokens, std::int64_t pixels) {
  return std::max<std::int64_t>(2, ceil_div<std::int64_t>(64, tokens * std::min(channels, pixels)));
}

}  // namespace tokenlearner::kernels::cuda::test
