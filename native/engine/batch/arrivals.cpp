#include "engine/batch/arrivals.hpp"

#include "kernels/cpu/compute-pool.hpp"
#include "kernels/spin.hpp"

namespace tokenlearner {

namespace {

using namespace std::chrono_literals;

/// Requests that come within this time of one another belong to one burst.
constexpr Clock::duration kClose = 20us;
/// A turn waits no longer than this.
constexpr Clock::duration kLongest = 100us;

}  // namespace

void Arrivals::add(Clock::time_point now, std::size_t waiting) noexcept {
  const Clock::rep time = now.time_since_epoch().count();
  const Clock::rep gap = time - last_.exchange(time, std::memory_order_relaxed);
  is_close_.store(gap < kClose.count(), std::memory_order_relaxed);
  waiting_.store(waiting, std::memory_order_relaxed);
}

bool Arrivals::is_burst(Clock::time_point now) const noexcept {
  const Clock::duration last(last_.load(std::memory_order_relaxed));
  return is_close_.load(std::memory_order_relaxed) && now.time_since_epoch() - last < kClose;
}

void Arrivals::await_burst(std::size_t enough) const noexcept {
  const auto is_over = [&] {
    return waiting_.load(std::memory_order_relaxed) >= enough || !is_burst(Clock::now());
  };
  if (is_over()) return;
  const kernels::ComputePool::SpareCore core(kernels::ComputePool::shared());
  kernels::spin_for(kLongest, [&] { return !core.is_spare() || is_over(); });
}

}  // namespace tokenlearner
