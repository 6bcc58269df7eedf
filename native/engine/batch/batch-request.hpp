#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/run/request.hpp"

namespace tokenlearner {

using Clock = Request::Clock;

/// The images and pixels of one input, which the limits of a batch count.
struct BatchSize {
  int64_t images = 0;
  int64_t pixels = 0;
};

/// `images` is the product of the leading dimensions: for an operator on images of any size all before those of an image,
/// as the options say, otherwise the first one. An input without them is one image.
BatchSize batch_size(const Op& op, const Dims& shape, const CallOptions& options);

/// One request of a batcher.
struct BatchRequest {
  BatchRequest(std::shared_ptr<const Op> run_op, Device run_device, std::vector<Tensor> tensors,
               CallOptions call, std::unique_ptr<Completion> receiver);

  /// For Batcher::cancel(). Unique among the unsettled requests of a batcher.
  uint64_t id = 0;
  /// From 0. A larger number is more urgent.
  int priority = 0;
  std::optional<Clock::time_point> deadline;
  Clock::time_point arrival;
  /// The time that it took to copy the input when the caller submitted it.
  Clock::duration input_time{};

  const std::shared_ptr<const Op> op;
  /// The result of device_for(). A batcher with replicas chooses one of their devices instead.
  const Device device;
  std::vector<Tensor> inputs;
  CallOptions options;
  const BatchSize size;
  /// The bytes of the inputs' elements.
  const std::size_t bytes;

  // Guarded by the batcher's mutex:
  /// Null after the outcome was taken.
  std::unique_ptr<Completion> completion;
  /// True if it was on a device that was lost.
  bool failed_over = false;
};

/// The failure of a request whose deadline has passed.
inline Failure timed_out() {
  return {ErrorCode::ERR_TIMEOUT, "The forward did not finish within its timeoutMs"};
}

using BatchRequests = std::vector<std::shared_ptr<BatchRequest>>;

}  // namespace tokenlearner
