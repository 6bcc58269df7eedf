// What this process may use of the machine.
#pragma once

#include <cstddef>

namespace tokenlearner::kernels {

/** How many threads may compute at once. */
struct ThreadLimit {
  /** At least 1. */
  int threads;
  /** What says so: "cores", "affinity", "cgroup" or "OMP_NUM_THREADS". */
  const char* reason;
};

/** The least of the physical cores in this process's affinity mask, the CPU quota of its cgroups rounded up,
 * and OMP_NUM_THREADS. Measured once. */
ThreadLimit thread_limit();

struct CacheSizes {
  /** Bytes of a core's level 1 data cache and of its level 2 cache. */
  std::size_t level1;
  std::size_t level2;
};

/** Measured once by asking the system; typical sizes where it does not tell. */
CacheSizes cache_sizes();

}  // namespace tokenlearner::kernels
