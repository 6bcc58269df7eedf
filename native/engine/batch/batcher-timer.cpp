// The thread of a batcher that waits for deadlines and for the end of delays.

#include <utility>

#include "engine/batch/batcher.hpp"

namespace tokenlearner {

void Batcher::start_timer() {
  if (timer_) return;
  platform::ThreadHandle thread;
  const auto run = [](void* batcher) { static_cast<Batcher*>(batcher)->timer_loop(); };
  if (!platform::start_thread(thread, run, this))
    throw Error(ErrorCode::ERR_OUT_OF_MEMORY, "The system allows no further thread");
  timer_ = thread;
}

/// The next deadline, or the next time at which a batch is ready that is not ready now.
std::optional<Clock::time_point> Batcher::next_event(Clock::time_point now) {
  std::optional<Clock::time_point> next;
  if (!deadlines_.empty()) next = *(*deadlines_.begin())->deadline;
  if (delay_.count() == 0) return next;
  for (const auto& lane : lanes_) {
    const auto ready = queue_.ready_at(now, [&](Device device) { return fits(*lane, device); });
    if (ready && *ready > now && (!next || *ready < *next)) next = ready;
  }
  return next;
}

std::vector<RequestOutcome> Batcher::expired(Clock::time_point now) {
  std::vector<RequestOutcome> outcomes;
  while (!deadlines_.empty() && *(*deadlines_.begin())->deadline <= now) {
    BatchRequest& request = **deadlines_.begin();
    // Keeps a waiting request alive; a running one is in running_.
    const std::shared_ptr<BatchRequest> waiting = queue_.remove(request.id);
    ++statistics_.timed_out;
    outcomes.push_back(concluded(request, {}, timed_out()));
  }
  return outcomes;
}

void Batcher::timer_loop() {
  Lock lock(mutex_);
  while (!stopping_) {
    const Clock::time_point now = Clock::now();
    std::vector<RequestOutcome> outcomes = expired(now);
    schedule(now);
    if (!outcomes.empty()) {
      lock.unlock();
      deliver(std::move(outcomes));
      lock.lock();
      continue;
    }
    const std::optional<Clock::time_point> next = next_event(now);
    timer_wakes_ = next.value_or(Clock::time_point::max());
    if (next) {
      wake_timer_.wait_until(lock, *next);
    } else {
      wake_timer_.wait(lock);
    }
  }
}

}  // namespace tokenlearner
