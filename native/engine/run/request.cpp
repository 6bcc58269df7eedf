#include "engine/run/request.hpp"

#include <utility>

namespace tokenlearner {

namespace {
constexpr char kCancelled[] = "The request was cancelled";
}

Request::Request(std::shared_ptr<const Op> op, Device device, std::vector<Tensor> inputs, CallOptions options,
                 std::unique_ptr<Completion> completion)
    : op_(std::move(op)),
      device_(device),
      inputs_(std::move(inputs)),
      options_(std::move(options)),
      completion_(std::move(completion)) {}

void Request::run() noexcept {
  if (cancelled_.load(std::memory_order_relaxed)) return fail(ErrorCode::ERR_CLOSED, kCancelled);
  if (deadline_ && Clock::now() > *deadline_)
    return fail(ErrorCode::ERR_TIMEOUT, "The request waited longer than its timeout");
  Outputs outputs;
  std::optional<Failure> failure;
  try {
    outputs = run_on(*op_, device_, inputs_, options_);
  } catch (...) {
    failure = Failure::of_current_exception();
  }
  // Free the inputs here, not later when the caller handles the result.
  inputs_.clear();
  options_ = {};
  op_.reset();
  if (failure) return completion_->fail(std::move(*failure));
  if (cancelled_.load(std::memory_order_relaxed)) return fail(ErrorCode::ERR_CLOSED, kCancelled);
  completion_->succeed(std::move(outputs));
}

void Request::fail(ErrorCode code, const char* message) noexcept { completion_->fail({code, message}); }

}  // namespace tokenlearner
