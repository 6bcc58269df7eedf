#pragma once

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
  /// On the executor's thread. Does not throw: failures are part of the job's result.
  virtual void run() noexcept = 0;
  /// After run(), on the executor's thread; takes over the job.
  virtual void settle(std::unique_ptr<Job> self) noexcept = 0;
};

/// Threads of its own that take jobs in order: one for the CPU, a few lanes for a CUDA device (see Note
/// [Lanes] in cuda-stream.hpp). One executor per device and Node environment. Not libuv's pool, which has
/// four threads and serves files and DNS.
class Executor {
 public:
  explicit Executor(Device device);
  /// Waits for the jobs that run, drops those that wait. Called from the environment's thread.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Any thread.
  void submit(std::unique_ptr<Job> job);

 private:
  void loop(Device device);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> queue_;
  bool closing_ = false;
  std::vector<std::thread> threads_;  // Last: they use all of the above.
};

}  // namespace tokenlearner
