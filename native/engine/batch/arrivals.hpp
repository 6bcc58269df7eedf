// Records when requests arrive, and tells a turn whether more will follow at once.
//
// Note: [Bursts]
// JavaScript answers the callers of a batch one after the other, and each sends its next request a few microseconds
// after the one before. A turn that took what waits at once would get one or two of them, and cost the submitting
// thread more by its lock and its answer than the request itself. So a turn that finds few requests waits while others
// arrive closely, but not for long. A lone request never waits.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>

#include "engine/batch/batch-request.hpp"

namespace tokenlearner {

/// The arrivals of a batcher's requests. One thread at a time writes; any may wait.
class Arrivals {
 public:
  /// @param waiting - the requests that wait for a batch, this one included.
  void add(Clock::time_point now, std::size_t waiting) noexcept;
  /// A batch was taken.
  void left(std::size_t waiting) noexcept { waiting_.store(waiting, std::memory_order_relaxed); }

  /// True if the last two requests came closely, the last one just now.
  bool is_burst(Clock::time_point now) const noexcept;

  /// Returns when no burst goes on, or `enough` requests wait.
  void await_burst(std::size_t enough) const noexcept;

 private:
  std::atomic<std::size_t> waiting_ = 0;
  std::atomic<Clock::rep> last_ = 0;
  /// The last one came closely after the one before.
  std::atomic<bool> is_close_ = false;
};

}  // namespace tokenlearner
