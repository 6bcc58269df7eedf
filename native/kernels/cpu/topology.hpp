// The cores and caches that this process may use.
#pragma once

#include <cstddef>

namespace tokenlearner::kernels {

/** How many threads may compute at once. */
struct ThreadLimit {
  /** At least 1. */
  int threads;
  /** The source of the limit: "cores", "affinity", "cgroup", "job" or "OMP_NUM_THREADS". */
  const char* reason;
};

/**
 * The minimum of: the physical cores in this process's affinity mask, the CPU quota of its cgroups (on
 * Windows of its job) rounded up, and OMP_NUM_THREADS. Measured once.
 */
ThreadLimit thread_limit();

struct CacheSizes {
  /** Bytes of a core's level 1 data cache and level 2 cache. */
  std::size_t level1;
  std::size_t level2;
};

/** Read from the system once. Typical sizes if the system does not report them. */
CacheSizes cache_sizes();

}  // namespace tokenlearner::kernels
