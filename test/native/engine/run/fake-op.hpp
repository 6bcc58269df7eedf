// Operators and completions for the tests of the engine's run/: without libtorch.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "engine/error.hpp"
#include "engine/run/graph.hpp"
#include "engine/run/op.hpp"
#include "engine/run/request.hpp"

namespace test {

using namespace tokenlearner;

/// A tensor of one float32 number in host memory.
inline Tensor number(float value) {
  Tensor tensor = Tensor::empty({1}, DType::float32);
  *reinterpret_cast<float*>(tensor.data()) = value;
  return tensor;
}

inline float value_of(const Tensor& tensor) { return *reinterpret_cast<const float*>(tensor.data()); }

/// The operators one after the other. Precondition: not empty.
inline Graph chain(std::vector<std::shared_ptr<const Op>> ops) {
  Graph graph;
  for (uint32_t i = 0; i < ops.size(); ++i) graph.nodes.push_back({std::move(ops[i]), {i}, 1});
  graph.outputs = {static_cast<uint32_t>(graph.nodes.size())};
  return graph;
}

/// An operator that a function computes.
class FakeOp final : public Op {
 public:
  using Function = std::function<Outputs(Inputs)>;

  explicit FakeOp(Function function) : Op({}, {}), function_(std::move(function)) {}
  Outputs run(Inputs inputs, const CallOptions&) const override { return function_(inputs); }
  std::shared_ptr<const Op> with(Placement, std::vector<Tensor>) const override { return nullptr; }

 private:
  Function function_;
};

inline std::shared_ptr<const Op> op(FakeOp::Function function) {
  return std::make_shared<FakeOp>(std::move(function));
}

inline std::shared_ptr<const Op> plus(float addend) {
  return op([addend](Inputs inputs) { return Outputs{number(value_of(inputs[0]) + addend)}; });
}

using Outcome = std::variant<float, ErrorCode>;

/// Keeps the first output's number, or the error's code.
class Recorder final : public Completion {
 public:
  std::future<Outcome> outcome() { return promise_.get_future(); }
  void succeed(Outputs outputs) noexcept override { promise_.set_value(value_of(outputs.at(0))); }
  void fail(Failure failure) noexcept override { promise_.set_value(failure.code); }

 private:
  std::promise<Outcome> promise_;
};

struct Made {
  std::unique_ptr<Request> request;
  std::future<Outcome> outcome;
};

inline Made make_request(std::shared_ptr<const Op> op, float input = 0, uint64_t id = 0) {
  auto recorder = std::make_unique<Recorder>();
  std::future<Outcome> outcome = recorder->outcome();
  auto request = std::make_unique<Request>(std::move(op), Device::cpu(), std::vector<Tensor>{number(input)},
                                           CallOptions{}, std::move(recorder));
  request->set_id(id);
  return {std::move(request), std::move(outcome)};
}

}  // namespace test
