// What this process may use of the machine.
#pragma once

#include <cstddef>

namespace tokenlearner::kernels {

/** Physical cores in this process's affinity mask, no more than its cgroup's CPU quota rounded up; at
 * least 1. */
int available_cores();

struct CacheSizes {
  /** Bytes of a core's level 1 data cache and of its level 2 cache. */
  std::size_t level1;
  std::size_t level2;
};

/** Measured once by asking the system; typical sizes where it does not tell. */
CacheSizes cache_sizes();

}  // namespace tokenlearner::kernels
