#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/error.hpp"

namespace tokenlearner {

/// Work that an Executor queues. It is made on the caller's thread. Either compute() and settle() are called, in
/// that order, on one of the executor's threads, or fail(). Each is called at most once.
class Job {
 public:
  virtual ~Job() = default;

  /// Computes. The executor's thread counts as busy.
  virtual void compute() noexcept = 0;
  /// Passes the result on. From here on the thread counts as free.
  virtual void settle() noexcept = 0;
  /// The job will not run.
  virtual void fail(ErrorCode code, const char* message) noexcept = 0;

  /// For Executor::cancel(). 0 if nobody will cancel it.
  virtual uint64_t id() const { return 0; }
  /// Drops the result of a running job. Any thread.
  virtual void cancel() {}
  /// The bytes that the job holds while it waits.
  virtual std::size_t input_bytes() const { return 0; }
  /// True if it counts among the requests that may wait: those of a batcher have limits of their own.
  virtual bool is_limited() const { return true; }
};

}  // namespace tokenlearner
