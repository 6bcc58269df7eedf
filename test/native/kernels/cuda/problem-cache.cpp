#include "problem-cache.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

namespace tokenlearner::kernels::cuda::test {

namespace {

constexpr std::uint32_t kSeed = 1;

/** The pairs of a map whose value is missing. */
template <typename Map>
std::vector<typename Map::value_type*> missing(Map& map) {
  std::vector<typename Map::value_type*> found;
  for (auto& pair : map) {
    if (pair.second == nullptr) found.push_back(&pair);
  }
  return found;
}

/** Calls `work` for each element, on all cores. */
template <typename T, typename Work>
void for_all(const std::vector<T>& elements, Work work) {
  std::atomic<std::size_t> next{0};
  const auto run = [&] {
    for (std::size_t i = next++; i < elements.size(); i = next++) work(elements[i]);
  };
  const std::size_t count =
      std::min<std::size_t>(std::max(1u, std::thread::hardware_concurrency()), elements.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < count; ++i) threads.emplace_back(run);
  run();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

void ProblemCache::prepare(const std::vector<Case>& cases, const std::vector<Precision>& precisions) {
  for (const Case& c : cases) {
    for (const Precision precision : precisions) {
      problems_.try_emplace({c.size, c.layout, element_dtype(precision)});
      entries_.try_emplace({c.size, c.layout, precision});
    }
  }
  // The threads change different values of the maps, and no keys.
  for_all(missing(problems_), [](auto* pair) {
    const auto& [size, layout, dtype] = pair->first;
    pair->second = std::make_unique<Problem>(size, dtype, layout, kSeed);
  });
  for_all(missing(entries_), [this](auto* pair) {
    const auto& [size, layout, precision] = pair->first;
    pair->second =
        std::make_unique<Entry>(*problems_.at({size, layout, element_dtype(precision)}), precision);
  });
}

const ProblemCache::Entry& ProblemCache::get(const Case& c, Precision precision) {
  prepare({c}, {precision});
  return *entries_.at({c.size, c.layout, precision});
}

}  // namespace tokenlearner::kernels::cuda::test
