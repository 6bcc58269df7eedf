// Joins the requests of many callers into batches.
//
// Note: [Turns]
// A batcher owns no computing thread. While a batch is ready it keeps a turn, a Job, in the queue of a device's
// executor: one for each of its threads on the CPU, two for a CUDA device, so that one batch is copied while another computes. A turn
// takes its batch only when the executor's thread starts it. So a batch holds all that arrived while the device
// was busy, and a device with work never waits (but for some microseconds: see Note [Bursts] in arrivals.hpp). A
// plain forward on the same device takes its place between turns.
//
// A thread of its own, started at the first need, waits for deadlines and for the end of delays.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "engine/batch/arrivals.hpp"
#include "engine/batch/queue.hpp"
#include "engine/batch/replicas.hpp"
#include "engine/batch/statistics.hpp"
#include "engine/run/executor.hpp"
#include "platform/platform.hpp"

namespace tokenlearner {

/// One device of a batcher.
struct BatcherDeviceState {
  Device device;
  uint64_t batches = 0;
  uint64_t images = 0;
  /// Requests that run now.
  std::size_t running = 0;
  bool lost = false;
};

struct BatcherState {
  std::size_t queued = 0;
  std::size_t queued_bytes = 0;
  std::size_t running = 0;
  BatcherStatistics statistics;
  std::vector<BatcherDeviceState> devices;
};

class Batcher : public std::enable_shared_from_this<Batcher> {
 public:
  /// Without `replicas`, each request runs on its own device. The executors and `sink` must outlive the last
  /// call of this object.
  Batcher(const BatchLimits& limits, CompletionSink& sink);
  /// Precondition: nothing waits or runs.
  ~Batcher();
  Batcher(const Batcher&) = delete;
  Batcher& operator=(const Batcher&) = delete;

  /// From now on requests run on this device or another one that was added, whichever has the least work. Must be
  /// called before the first request.
  void add_replica(Device device, Executor& executor);

  /// Throws ERR_QUEUE_FULL or ERR_CLOSED if a further request with `bytes` of inputs may not wait. Only the thread
  /// that submits can rely on the result.
  void check_room(std::size_t bytes);

  /// Adds a request; `executor` is that of its device. Throws as check_room() does, or ERR_OUT_OF_MEMORY; then the
  /// request is not completed. Any thread.
  void submit(std::shared_ptr<BatchRequest> request, Executor& executor);

  /// True if nothing waits or runs, and a request need not wait for others.
  bool is_free() const;

  /// Runs a request on the calling thread at once: a batch of its own. `executor` is that of its device. Precondition: is_free(). Any thread.
  void run_inline(BatchRequest& request, Executor& executor);

  /// Removes a waiting request, or makes a running one drop its outputs; it fails with ERR_CLOSED. False if there
  /// is no such request. Any thread.
  bool cancel(uint64_t id);

  /// Takes no further requests. Those that wait run without delay, or fail with ERR_CLOSED if not `drain`.
  /// Idempotent; a second call may end the draining. Any thread.
  void close(bool drain);

  BatcherState state() const;

  /// For tests: see BatchQueue::hold().
  void hold(std::size_t requests);

 private:
  class Turn;

  /// A device, its executor and the turns there.
  struct Lane {
    Lane(Device lane_device, Executor& lane_executor)
        : executor(lane_executor), replicas(lane_device), state{lane_device} {}
    Executor& executor;
    Replicas replicas;
    BatcherDeviceState state;
    int turns = 0;
    /// Turns that have not taken a batch yet.
    int idle_turns = 0;
    std::size_t running_images = 0;

    Device device() const { return state.device; }
    /// The most turns at a time. See Note [Turns].
    int depth() const { return device().is_cuda() ? 2 : executor.lanes(); }
  };

  struct EarlierDeadline {
    bool operator()(const BatchRequest* a, const BatchRequest* b) const {
      return std::pair(*a->deadline, a->id) < std::pair(*b->deadline, b->id);
    }
  };

  using Lock = std::unique_lock<std::mutex>;

  // Each of these needs the lock.
  void require_room(std::size_t bytes);
  /// True if no replica is left.
  bool all_lost() const;
  bool fits(const Lane& lane, Device device) const;
  /// That of a device, made at its first request. Only without replicas.
  Lane& lane_of(Device device, Executor& executor);
  /// Gives turns to the lanes while batches are ready, and lets the timer know what comes next. Call it after each change.
  void schedule(Clock::time_point now);
  void start_turns(Clock::time_point now);
  Lane* least_loaded(Clock::time_point now);
  void start_timer();
  std::optional<Clock::time_point> next_event(Clock::time_point now);
  /// Ends a request. Its outcome must be delivered without the lock.
  RequestOutcome concluded(BatchRequest& request, Outputs outputs, std::optional<Failure> failure);
  std::vector<RequestOutcome> fail_all(ErrorCode code, const char* message);
  std::vector<RequestOutcome> expired(Clock::time_point now);
  void begin(Lane& lane, const BatchRequests& batch, Clock::time_point now);

  // Called by turns, without the lock.
  BatchRequests take(Lane& lane);
  void finish(Lane& lane, BatchRequests batch, std::vector<struct BatchResult> results,
              Clock::time_point began, Clock::time_point computed);
  void abandon(Lane& lane, ErrorCode code, const char* message);

  bool conclude_on_lost(Lane& lane, const std::shared_ptr<BatchRequest>& request);
  void deliver(std::vector<RequestOutcome> outcomes);
  void timer_loop();

  CompletionSink& sink_;
  Arrivals arrivals_;
  /// A turn takes so many requests without waiting for a burst to end.
  const std::size_t enough_;
  mutable std::mutex mutex_;
  std::condition_variable wake_timer_;
  // Guarded by mutex_:
  BatchQueue queue_;
  const Clock::duration delay_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  bool has_replicas_ = false;
  /// Taken by a turn and not finished. Some may be settled already.
  std::unordered_map<uint64_t, std::shared_ptr<BatchRequest>> running_;
  /// Requests that are not settled and have a deadline.
  std::set<BatchRequest*, EarlierDeadline> deadlines_;
  BatcherStatistics statistics_;
  bool closed_ = false;
  /// Closed without draining: no request is queued again, since the executors may be about to end.
  bool dropped_ = false;
  bool stopping_ = false;
  /// The timer sleeps until then.
  Clock::time_point timer_wakes_ = Clock::time_point::max();
  std::optional<platform::ThreadHandle> timer_;
};

}  // namespace tokenlearner
