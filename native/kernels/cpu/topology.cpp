#include "kernels/cpu/topology.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

namespace tokenlearner::kernels {
namespace {

#if defined(__linux__)
/** The list of a core's hardware threads names the core: "0,4" for both of its threads. */
std::string core_of(int cpu) {
  std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
  std::string siblings;
  std::getline(file, siblings);
  return siblings.empty() ? std::to_string(cpu) : siblings;
}

int affinity_cores() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0)
    return static_cast<int>(std::thread::hardware_concurrency());
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) cores.insert(core_of(cpu));
  }
  return static_cast<int>(cores.size());
}

/** cgroup v2's "quota period" in microseconds, or v1's two files; no quota is as many as one likes. */
int quota_cores() {
  double quota = -1;
  double period = 0;
  std::ifstream v2("/sys/fs/cgroup/cpu.max");
  if (!(v2 >> quota >> period)) {
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> quota;
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  }
  if (quota <= 0 || period <= 0) return CPU_SETSIZE;
  return static_cast<int>(std::ceil(quota / period));
}
#else
int affinity_cores() { return static_cast<int>(std::thread::hardware_concurrency()); }
int quota_cores() { return affinity_cores(); }
#endif

std::size_t query(int name, std::size_t fallback) {
#if defined(__linux__)
  const long size = sysconf(name);
  if (size > 0) return static_cast<std::size_t>(size);
#else
  static_cast<void>(name);
#endif
  return fallback;
}

}  // namespace

int available_cores() { return std::max(1, std::min(affinity_cores(), quota_cores())); }

CacheSizes cache_sizes() {
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  static const CacheSizes sizes{query(_SC_LEVEL1_DCACHE_SIZE, 32u << 10),
                                query(_SC_LEVEL2_CACHE_SIZE, 512u << 10)};
#else
  static const CacheSizes sizes{query(0, 32u << 10), query(0, 512u << 10)};
#endif
  return sizes;
}

}  // namespace tokenlearner::kernels
