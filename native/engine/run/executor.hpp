#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/memory/device.hpp"
#include "engine/run/job.hpp"
#include "platform/platform.hpp"

namespace tokenlearner {

// Note: [Waiting for the next request]
// On a virtual machine it takes tens of microseconds to wake a sleeping thread on a sleeping core: twice the
// total time of a small request. So a thread without requests spins for a while before it sleeps. It spins
// only if all of these hold: the executor's last wait was short (a client that sends one request after the other), no
// other thread of this executor spins, and the compute pool has a core to spare. After one long wait it
// sleeps at once, so an idle server costs nothing.

// Note: [Inline runs]
// For a run of about ten microseconds, handing it to another thread and being woken for the result costs the
// environment's thread more than the run itself. So that thread runs it at once. The promise still resolves
// through the event loop, in a later turn: a loop of awaited inline forwards does not block timers and
// sockets.

/// The most that may wait in an executor's queue. A request that a free thread takes at once does not wait.
struct QueueLimits {
  std::size_t requests = std::numeric_limits<std::size_t>::max();
  /// Of the waiting requests' inputs.
  std::size_t bytes = std::numeric_limits<std::size_t>::max();
};

/// Runs requests in order on its own threads: `lanes` for the CPU, a few for a CUDA device. See
/// Note [Lanes] in cuda/stream.hpp. There is one executor per device, number of lanes and Node environment. It does not use
/// libuv's pool, which has four threads and is needed for files and DNS.
class Executor {
 public:
  /// `lanes` is the number of threads for the CPU. A CUDA device has as many as its streams.
  explicit Executor(Device device, int lanes = 1);
  /// Waits for running requests. Waiting requests fail with ERR_CLOSED. The environment's thread only.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// The threads: at least one, fewer than asked for if the system allows no more. Any thread.
  int lanes() const { return static_cast<int>(threads_.size()); }

  /// Sets the limits for waiting requests. Any thread.
  void set_queue_limits(QueueLimits limits);

  /// Throws ERR_QUEUE_FULL if a further request with `bytes` of inputs may not wait. Requests come from one thread, which can
  /// rely on the result; the jobs of batchers come from others and do not count.
  void check_room(std::size_t bytes) const;

  /// Adds a job to the queue, whatever its limits. Any thread.
  void submit(std::unique_ptr<Job> job);

  /// Removes a waiting request from the queue; it fails with ERR_CLOSED. Makes a running request drop its
  /// outputs. False if there is no such request. Any thread.
  bool cancel(uint64_t id);

 private:
  static void thread_main(void* executor);
  void loop();
  void count(const Job& job, int sign);
  /// Throws ERR_QUEUE_FULL. Precondition: the lock is held.
  void require_room(std::size_t bytes) const;
  std::unique_ptr<Job> next_request();
  void await_request(std::unique_lock<std::mutex>& lock, bool may_spin);
  void spin_for_request(unsigned seen) const;

  const Device device_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_:
  std::deque<std::unique_ptr<Job>> queue_;
  std::vector<Job*> running_;
  std::size_t queued_bytes_ = 0;
  /// Those of queue_ that are limited.
  std::size_t limited_ = 0;
  QueueLimits limits_;
  bool closing_ = false;
  int sleeping_ = 0;
  /// See Note [Waiting for the next request].
  bool spinning_ = false;
  bool last_wait_was_short_ = false;
  /// When a thread last began to wait. The thread that a request wakes may have slept for long, while others ran the requests before.
  std::chrono::steady_clock::time_point idle_since_;
  /// Increases with each request and when the executor closes. A spinning thread watches it.
  std::atomic<unsigned> events_ = 0;
  std::vector<platform::ThreadHandle> threads_;  // The last member: the threads use all others.
};

}  // namespace tokenlearner
