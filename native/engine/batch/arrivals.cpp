#include "engine/batch/arrivals.hpp"

#include "kernels/cpu/compute-pool.hpp"
#include "kernels/spin.hpp"

namespace tokenlearner {

namespace {

using namespace std::chrono_literals;

/// Requests that come within this time of one another belong to one burst.
constexpr Clock::duration kClose = 20us;
/// A turn waits for no more requests than this, and no longer.
constexpr uint64_t kEnough = 16;
constexpr Clock::duration kLongest = 100us;

}  // namespace

void Arrivals::add(Clock::time_point now) noexcept {
  const Clock::rep time = now.time_since_epoch().count();
  const Clock::rep gap = time - last_.exchange(time, std::memory_order_relaxed);
  is_close_.store(gap < kClose.count(), std::memory_order_relaxed);
  count_.fetch_add(1, std::memory_order_release);
}

bool Arrivals::is_burst(Clock::time_point now) const noexcept {
  const Clock::duration last(last_.load(std::memory_order_relaxed));
  return is_close_.load(std::memory_order_relaxed) && now.time_since_epoch() - last < kClose;
}

void Arrivals::await_burst() const noexcept {
  if (!is_burst(Clock::now())) return;
  const kernels::ComputePool::SpareCore core(kernels::ComputePool::shared());
  const uint64_t seen = count_.load(std::memory_order_acquire);
  kernels::spin_for(kLongest, [&] {
    return !core.is_spare() || count_.load(std::memory_order_acquire) - seen >= kEnough ||
           !is_burst(Clock::now());
  });
}

}  // namespace tokenlearner
