// Whether requests are just coming in.
//
// Note: [Bursts]
// JavaScript answers the callers of a batch one after the other, and each sends its next request a few microseconds
// after the one before. A turn that took what waits at once would get one or two of them, and cost the submitting
// thread more by its lock and its answer than the request itself. So a turn waits while requests arrive closely, but
// not for many requests or for long. A lone request never waits.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "engine/batch/batch-request.hpp"

namespace tokenlearner {

/// The arrivals of a batcher's requests. One thread at a time writes; any may wait.
class Arrivals {
 public:
  void add(Clock::time_point now) noexcept;

  /// True if the last two requests came closely, the last one just now.
  bool is_burst(Clock::time_point now) const noexcept;

  /// Returns when no burst goes on, or enough requests have come.
  void await_burst() const noexcept;

 private:
  std::atomic<uint64_t> count_ = 0;
  std::atomic<Clock::rep> last_ = 0;
  /// The last one came closely after the one before.
  std::atomic<bool> is_close_ = false;
};

}  // namespace tokenlearner
