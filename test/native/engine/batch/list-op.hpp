// Operators and requests for the tests of engine/batch, without libtorch.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "../run/fake-op.hpp"
#include "engine/batch/batch-request.hpp"

namespace test {

/// Takes lists: adds 1 to each number. `before` sees the numbers of each run first, and may throw.
class ListOp final : public Op {
 public:
  using Before = std::function<void(const std::vector<float>&)>;

  explicit ListOp(
      Before before = [](const std::vector<float>&) {}, Placement placement = {},
      std::vector<Tensor> parameters = {})
      : Op(placement, std::move(parameters)), before_(std::move(before)) {}

  std::optional<Dims> batch_key(const Dims&) const override { return Dims(); }
  Outputs run(Inputs inputs, const CallOptions&) const override {
    before_({value_of(inputs[0])});
    return {number(value_of(inputs[0]) + 1)};
  }
  std::vector<Outputs> run_list(RequestList list) const override {
    std::vector<float> numbers;
    for (const ListedRequest& request : list) numbers.push_back(value_of(request.inputs[0]));
    before_(numbers);
    std::vector<Outputs> outputs;
    for (const float value : numbers) outputs.push_back({number(value + 1)});
    return outputs;
  }
  std::shared_ptr<const Op> with(Placement placement, std::vector<Tensor> parameters) const override {
    return std::make_shared<ListOp>(before_, placement, std::move(parameters));
  }

 private:
  Before before_;
};

inline std::shared_ptr<const Op> list_op(ListOp::Before before = [](const std::vector<float>&) {}) {
  return std::make_shared<ListOp>(std::move(before));
}

/// Completes each request.
class OneByOne final : public CompletionSink {
 public:
  void deliver(std::vector<RequestOutcome> outcomes) noexcept override {
    {
      const std::lock_guard lock(mutex_);
      ++deliveries_;
    }
    for (RequestOutcome& outcome : outcomes) {
      if (outcome.failure) {
        outcome.completion->fail(std::move(*outcome.failure));
      } else {
        outcome.completion->succeed(std::move(outcome.outputs));
      }
    }
  }
  int deliveries() const {
    const std::lock_guard lock(mutex_);
    return deliveries_;
  }

 private:
  mutable std::mutex mutex_;
  int deliveries_ = 0;
};

struct Batched {
  std::shared_ptr<BatchRequest> request;
  std::future<Outcome> outcome;
};

inline Batched batched(std::shared_ptr<const Op> op, float value, uint64_t id,
                       Clock::time_point arrival = Clock::now(), int64_t images = 1) {
  auto recorder = std::make_unique<Recorder>();
  std::future<Outcome> outcome = recorder->outcome();
  Tensor input = Tensor::empty({images}, DType::float32);
  *reinterpret_cast<float*>(input.data()) = value;
  auto request = std::make_shared<BatchRequest>(std::move(op), Device::cpu(), std::vector<Tensor>{input},
                                                CallOptions(), std::move(recorder));
  request->id = id;
  request->arrival = arrival;
  return {std::move(request), std::move(outcome)};
}

}  // namespace test
