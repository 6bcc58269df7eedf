#include "kernels/cpu/topology.hpp"

#include <algorithm>
#include <atomic>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#endif

#include "kernels/cpu/cgroup.hpp"

namespace tokenlearner::kernels {
namespace {

#if defined(__linux__)
/** A name for the CPU's core: the list of its hardware threads, for example "0,4" for both. */
std::string core_of(int cpu) {
  std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
  std::string siblings;
  std::getline(file, siblings);
  return siblings.empty() ? std::to_string(cpu) : siblings;
}

ThreadLimit affinity_limit() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0)
    return {static_cast<int>(std::thread::hardware_concurrency()), "cores"};
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) cores.insert(core_of(cpu));
  }
  const bool all = CPU_COUNT(&mask) >= sysconf(_SC_NPROCESSORS_ONLN);
  return {static_cast<int>(cores.size()), all ? "cores" : "affinity"};
}
#else
ThreadLimit affinity_limit() { return {static_cast<int>(std::thread::hardware_concurrency()), "cores"}; }
#endif

/** OpenMP's variable: "4", or "4,2" for nested regions, where the first number counts. 0 if it is not set. */
int omp_num_threads() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  const long value = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
  return value > 0 && value < INT_MAX ? static_cast<int>(value) : 0;
}

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

namespace {

ThreadLimit measured_limit() {
  ThreadLimit limit = affinity_limit();
  limit.threads = std::max(1, limit.threads);
  const double quota = std::ceil(cgroup_cpus());
  if (quota < limit.threads) limit = {std::max(1, static_cast<int>(quota)), "cgroup"};
  const int asked = omp_num_threads();
  if (asked > 0 && asked < limit.threads) limit = {asked, "OMP_NUM_THREADS"};
  return limit;
}

}  // namespace

ThreadLimit thread_limit() {
  static const ThreadLimit limit = measured_limit();
  return limit;
}

namespace {

std::atomic<int> choice = 0;

}  // namespace

ThreadLimit compute_threads() {
  const int chosen = chosen_threads();
  return chosen > 0 ? ThreadLimit{chosen, "setThreads"} : thread_limit();
}

int chosen_threads() { return choice.load(std::memory_order_relaxed); }

void choose_threads(int threads) { choice.store(std::max(1, threads), std::memory_order_relaxed); }

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
