#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/error.hpp"
#include "engine/run/job.hpp"
#include "engine/run/op.hpp"

namespace tokenlearner {

/// Receives a request's outcome. Exactly one of the two functions is called, once, on any thread.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void succeed(Outputs outputs) noexcept = 0;
  virtual void fail(Failure failure) noexcept = 0;
};

/// The outcome of one request, for its completion.
struct RequestOutcome {
  std::unique_ptr<Completion> completion;
  Outputs outputs;
  /// If there is one, there are no outputs.
  std::optional<Failure> failure = std::nullopt;
  /// The request itself, or null. The sink frees it on the thread that allocated it, which is faster than on another.
  std::shared_ptr<const void> request = nullptr;
};

/// Takes the outcomes of several requests at once. Any thread.
class CompletionSink {
 public:
  virtual ~CompletionSink() = default;
  /// Completes all. Precondition: the completions were made for this sink.
  virtual void deliver(std::vector<RequestOutcome> outcomes) noexcept = 0;
};

/// One run of an operator. It runs on the caller's thread at once or on an executor's thread.
class Request final : public Job {
 public:
  using Clock = std::chrono::steady_clock;

  /// `device` is the result of device_for(). The inputs own their memory, unless the request runs at once.
  Request(std::shared_ptr<const Op> op, Device device, std::vector<Tensor> inputs, CallOptions options,
          std::unique_ptr<Completion> completion);
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  /// Sets the id for Executor::cancel(). 0 if the request will not be cancelled.
  void set_id(uint64_t id) { id_ = id; }
  uint64_t id() const override { return id_; }

  /// A request that has not started by then fails with ERR_TIMEOUT.
  void set_deadline(Clock::time_point deadline) { deadline_ = deadline; }

  /// A running request is not interrupted, but its outputs are dropped and it fails with ERR_CLOSED. Any
  /// thread.
  void cancel() override { cancelled_.store(true, std::memory_order_relaxed); }

  /// The bytes of the inputs' elements.
  std::size_t input_bytes() const override { return input_bytes_; }

  /// Computes the outputs, or the failure, and frees the inputs. Call it once.
  void compute() noexcept override;
  /// Completes or fails. Call it once, after compute().
  void settle() noexcept override;
  /// Both.
  void run() noexcept {
    compute();
    settle();
  }

  /// Fails the request without running it. Call it once.
  void fail(ErrorCode code, const char* message) noexcept override;

 private:
  std::shared_ptr<const Op> op_;
  Device device_;
  std::vector<Tensor> inputs_;
  CallOptions options_;
  std::unique_ptr<Completion> completion_;
  std::size_t input_bytes_;
  Outputs outputs_;
  std::optional<Failure> failure_;
  uint64_t id_ = 0;
  std::optional<Clock::time_point> deadline_;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace tokenlearner
