#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

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

/// One thread of its own that runs jobs in order; one per device and Node environment. Not libuv's pool,
/// which has four threads and serves files and DNS.
class Executor {
 public:
  Executor();
  /// Waits for the job that runs, drops those that wait. Called from the environment's thread.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Any thread.
  void submit(std::unique_ptr<Job> job);

 private:
  void loop();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> queue_;
  bool closing_ = false;
  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace tokenlearner
