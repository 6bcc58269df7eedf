#include "engine/run/graph.hpp"

#include <doctest.h>

#include "fake-op.hpp"

using namespace test;

namespace {

std::shared_ptr<const Op> add() {
  return op([](Inputs inputs) { return Outputs{number(value_of(inputs[0]) + value_of(inputs[1]))}; });
}

std::shared_ptr<const Op> split() {
  return op([](Inputs inputs) {
    return Outputs{number(value_of(inputs[0]) * 10), number(value_of(inputs[0]) * 100)};
  });
}

std::vector<float> run(Graph graph, const std::vector<float>& values) {
  std::vector<Tensor> inputs;
  for (const float value : values) inputs.push_back(number(value));
  std::vector<float> results;
  for (const Tensor& output : GraphOp(std::move(graph)).run(inputs, {})) results.push_back(value_of(output));
  return results;
}

ErrorCode code_of(Graph graph) {
  try {
    GraphOp made(std::move(graph));
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::ERR_INVALID_THIS;
}

}  // namespace

TEST_SUITE_BEGIN("engine/graph");

TEST_CASE("a chain runs one operator after the other") {
  CHECK(run(chain({plus(1), plus(10), plus(100)}), {5}) == std::vector<float>{116});
}

TEST_CASE("a residual: the input is used again after the first node") {
  CHECK(run({1, {{plus(1), {0}}, {add(), {1, 0}}}, {2}}, {5}) == std::vector<float>{11});
}

TEST_CASE("a node may take one slot twice") {
  CHECK(run({1, {{plus(1), {0}}, {add(), {1, 1}}}, {2}}, {5}) == std::vector<float>{12});
}

TEST_CASE("several inputs, several outputs of a node, and outputs in any order") {
  const Graph graph{2, {{split(), {1}, 2}, {add(), {0, 3}}}, {4, 2, 4, 0}};
  CHECK(run(graph, {1, 2}) == std::vector<float>{201, 20, 201, 1});
}

TEST_CASE("a graph moves to a device if all its nodes do") {
  class Fixed final : public Op {
   public:
    Fixed() : Op({}, {}) {}
    Outputs run(Inputs inputs, const CallOptions&) const override { return {inputs[0]}; }
    std::shared_ptr<const Op> with(Placement, std::vector<Tensor>) const override { return nullptr; }
    bool can_move_to(Device device) const override { return device.is_cpu(); }
  };
  const Device gpu = Device::cuda(1);
  CHECK(GraphOp(chain({plus(1)})).can_move_to(gpu));
  const GraphOp fixed(chain({plus(1), std::make_shared<Fixed>()}));
  CHECK(fixed.can_move_to(Device::cpu()));
  CHECK(!fixed.can_move_to(gpu));
}

TEST_CASE("a value is dropped after its last use") {
  std::weak_ptr<void> first;
  const auto maker = op([&](Inputs) {
    Tensor tensor = number(1);
    first = tensor.storage.owner();
    return Outputs{tensor};
  });
  bool dropped = false;
  const auto observer = op([&](Inputs inputs) {
    dropped = first.expired();
    return Outputs{number(value_of(inputs[0]))};
  });
  run({1, {{maker, {0}}, {plus(1), {1}}, {observer, {2}}}, {3}}, {0});
  CHECK(dropped);
}

TEST_CASE("graphs nest") {
  const auto inner = std::make_shared<GraphOp>(chain({plus(1), plus(2)}));
  CHECK(run({1, {{inner, {0}}, {inner, {1}}, {add(), {1, 2}}}, {3}}, {0}) == std::vector<float>{9});
}

TEST_CASE("graphs that cannot run give an error") {
  CHECK(code_of({1, {}, {0}}) == ErrorCode::ERR_INVALID_ARG_VALUE);
  CHECK(code_of({0, {{plus(1), {0}}}, {0}}) == ErrorCode::ERR_INVALID_ARG_VALUE);
  CHECK(code_of({1, {{plus(1), {0}}}, {}}) == ErrorCode::ERR_INVALID_ARG_VALUE);
  CHECK(code_of({1, {{plus(1), {}}}, {1}}) == ErrorCode::ERR_INVALID_ARG_VALUE);
  CHECK(code_of({1, {{plus(1), {1}}}, {1}}) == ErrorCode::ERR_INVALID_ARG_VALUE);
  CHECK(code_of({1, {{plus(1), {0}}}, {2}}) == ErrorCode::ERR_INVALID_ARG_VALUE);
}

TEST_CASE("a wrong number of inputs, and a node that gives too few outputs, are errors") {
  const GraphOp graph(chain({plus(1)}));
  const std::vector<Tensor> two{number(1), number(2)};
  CHECK_THROWS_AS(graph.run(two, {}), Error);
  const GraphOp greedy({1, {{plus(1), {0}, 2}}, {1}});
  const std::vector<Tensor> one{number(1)};
  CHECK_THROWS_AS(greedy.run(one, {}), Error);
}

TEST_SUITE_END();
