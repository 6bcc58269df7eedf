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
      completion_(std::move(completion)),
      input_bytes_(byte_length(inputs_)) {}

void Request::compute() noexcept {
  if (cancelled_.load(std::memory_order_relaxed)) {
    failure_ = Failure{ErrorCode::ERR_CLOSED, kCancelled};
  } else if (deadline_ && Clock::now() > *deadline_) {
    failure_ = Failure{ErrorCode::ERR_TIMEOUT, "The forward did not finish within its timeoutMs"};
  } else {
    try {
      outputs_ = run_on(*op_, device_, inputs_, options_);
    } catch (...) {
      failure_ = Failure::of_current_exception();
    }
  }
  // Free the inputs here, not later when the caller handles the result.
  inputs_.clear();
  options_ = {};
  op_.reset();
}

void Request::settle() noexcept {
  if (failure_) return completion_->fail(std::move(*failure_));
  if (cancelled_.load(std::memory_order_relaxed)) {
    outputs_.clear();
    return fail(ErrorCode::ERR_CLOSED, kCancelled);
  }
  completion_->succeed(std::move(outputs_));
}

void Request::fail(ErrorCode code, const char* message) noexcept { completion_->fail({code, message}); }

}  // namespace tokenlearner
