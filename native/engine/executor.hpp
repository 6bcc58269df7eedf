#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/device.hpp"

namespace tokenlearner {

/// Work for an executor.
class Job {
 public:
  virtual ~Job() = default;
  /// On the executor's thread, or the environment's when it is brief. Does not throw: failures are part of
  /// the job's result.
  virtual void run() noexcept = 0;
  /// Instead of run(), where the executor closes first.
  virtual void drop() noexcept = 0;
  /// After run() or drop(), on the same thread; takes over the job.
  virtual void settle(std::unique_ptr<Job> self) noexcept = 0;
};

/// On this thread.
inline void run_and_settle(std::unique_ptr<Job> job) noexcept {
  Job& running = *job;
  running.run();
  running.settle(std::move(job));
}

// Note: [Waiting for the next job]
// Waking a thread that sleeps on a core that sleeps takes tens of microseconds on a virtual machine, twice
// the whole way of a small request. So a thread that runs out of jobs looks for the next one for a while
// before it sleeps, but only where that pays: its last wait was short (a client that sends one request after
// the other), no other thread of this executor does so already, and the compute pool has a core to spare.
// After one long wait it goes to sleep at once, so an idle server costs nothing.

// Note: [Brief runs]
// A run of some ten microseconds costs the environment's thread less than giving it away and being woken for
// the result: it is run on that thread at once. Its promise still resolves through the event loop, in a later
// turn: a loop of awaited brief forwards lets timers and sockets have their turns.

/// Threads of its own that take jobs in order: one for the CPU, a few lanes for a CUDA device (see Note
/// [Lanes] in cuda-stream.hpp). One executor per device and Node environment. Not libuv's pool, which has
/// four threads and serves files and DNS.
class Executor {
 public:
  explicit Executor(Device device);
  /// Waits for the jobs that run, drops and settles those that wait. Called from the environment's thread.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Any thread.
  void submit(std::unique_ptr<Job> job);

 private:
  void loop(Device device);
  std::unique_ptr<Job> next_job();
  void await_job(std::unique_lock<std::mutex>& lock, bool may_spin);
  void spin_for_job(unsigned seen) const;

  std::mutex mutex_;
  std::condition_variable wake_;
  // Guarded by mutex_:
  std::deque<std::unique_ptr<Job>> queue_;
  bool closing_ = false;
  int sleeping_ = 0;
  /// See Note [Waiting for the next job].
  bool spinning_ = false;
  bool last_wait_was_short_ = false;
  /// What a spinning thread watches: rises with each job and when the executor closes.
  std::atomic<unsigned> events_ = 0;
  std::vector<std::thread> threads_;  // Last: they use all of the above.
};

}  // namespace tokenlearner
