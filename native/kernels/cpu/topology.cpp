#include "kernels/cpu/topology.hpp"

#include <algorithm>
#include <atomic>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>

#include "platform/platform.hpp"

namespace tokenlearner::kernels {
namespace {

/** OpenMP's variable: "4", or "4,2" for nested regions, where the first number counts. 0 if it is not set. */
int omp_num_threads() {
  const std::optional<std::string> text = platform::environment_variable("OMP_NUM_THREADS");
  const long value = text ? std::strtol(text->c_str(), nullptr, 10) : 0;
  return value > 0 && value < INT_MAX ? static_cast<int>(value) : 0;
}

ThreadLimit measured_limit() {
  const platform::Cores cores = platform::usable_cores();
  ThreadLimit limit{cores.count, cores.has_affinity ? "affinity" : "cores"};
  const platform::CpuQuota quota = platform::cpu_quota();
  const double whole = std::ceil(quota.cpus);
  if (whole < limit.threads) limit = {std::max(1, static_cast<int>(whole)), quota.source};
  const int asked = omp_num_threads();
  if (asked > 0 && asked < limit.threads) limit = {asked, "OMP_NUM_THREADS"};
  return limit;
}

std::size_t cache_bytes(int level, std::size_t typical) {
  const std::size_t bytes = platform::cache_bytes(level);
  return bytes > 0 ? bytes : typical;
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
  static const CacheSizes sizes{cache_bytes(1, 32u << 10), cache_bytes(2, 512u << 10)};
  return sizes;
}

}  // namespace tokenlearner::kernels
