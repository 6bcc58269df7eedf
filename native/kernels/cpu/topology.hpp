// The cores and caches that this process may use.
#pragma once

#include <cstddef>

namespace tokenlearner::kernels {

/** How many threads may compute at once. */
struct ThreadLimit {
  /** At least 1. */
  int threads;
  /** The source of the limit: "cores", "affinity", "cgroup", "job", "OMP_NUM_THREADS" or "setThreads". */
  const char* reason;
};

/**
 * The minimum of: the physical cores in this process's affinity mask, the CPU quota of its cgroups (on
 * Windows of its job) rounded up, and OMP_NUM_THREADS. Measured once.
 */
ThreadLimit thread_limit();

/** The limit of choose_threads(), with the reason "setThreads"; thread_limit() before its first call. Any thread. */
ThreadLimit compute_threads();

/** The limit of choose_threads(); 0 before its first call. Any thread. */
int chosen_threads();

/** Sets the limit of the process. At least 1; it may exceed thread_limit(). Any thread. */
void choose_threads(int threads);

struct CacheSizes {
  /** Bytes of a core's level 1 data cache and level 2 cache. */
  std::size_t level1;
  std::size_t level2;
};

/** Read from the system once. Typical sizes if the system does not report them. */
CacheSizes cache_sizes();

}  // namespace tokenlearner::kernels
