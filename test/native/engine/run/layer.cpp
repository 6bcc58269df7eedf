#include "engine/run/layer.hpp"

#include <doctest.h>

#include "fake-op.hpp"

using namespace test;

namespace {

std::shared_ptr<int64_t> counter() { return std::make_shared<int64_t>(0); }

float run(Layer& layer, float input) {
  const std::vector<Tensor> inputs{number(input)};
  return value_of(layer.snapshot()->run(inputs, {}).at(0));
}

Wiring chain(uint32_t length) {
  Wiring wiring;
  for (uint32_t i = 0; i < length; ++i) wiring.nodes.push_back({i});
  wiring.outputs = {length};
  return wiring;
}

}  // namespace

TEST_SUITE_BEGIN("engine/layer");

TEST_CASE("a snapshot keeps its identity until the layer changes, and goes on afterwards") {
  Layer layer(plus(1), counter());
  const auto before = layer.snapshot();
  CHECK(layer.snapshot() == before);
  layer.replace(plus(10));
  CHECK(layer.snapshot() != before);
  CHECK(run(layer, 0) == 10);
  const std::vector<Tensor> inputs{number(0)};
  CHECK(value_of(before->run(inputs, {}).at(0)) == 1);
}

TEST_CASE("a container's snapshot changes with its children's, at any depth") {
  const auto live = counter();
  const auto leaf = std::make_shared<Layer>(plus(1), live);
  const auto inner = std::make_shared<Layer>(std::vector{leaf, leaf}, chain(2), live);
  Layer outer({inner}, chain(1), live);
  const auto before = outer.snapshot();
  CHECK(outer.snapshot() == before);
  CHECK(run(outer, 0) == 2);
  leaf->replace(plus(5));
  CHECK(outer.snapshot() != before);
  CHECK(run(outer, 0) == 10);
}

TEST_CASE("a disposed layer, and a container of one, refuse to run") {
  const auto live = counter();
  const auto leaf = std::make_shared<Layer>(plus(1), live);
  Layer outer({leaf}, chain(1), live);
  static_cast<void>(outer.snapshot());
  leaf->dispose();
  leaf->dispose();
  CHECK_THROWS_AS(leaf->snapshot(), Error);
  CHECK_THROWS_AS(outer.snapshot(), Error);
}

TEST_CASE("layers that are not disposed are counted") {
  const auto live = counter();
  {
    const auto leaf = std::make_shared<Layer>(plus(1), live);
    Layer outer({leaf}, chain(1), live);
    CHECK(*live == 2);
    leaf->dispose();
    CHECK(*live == 1);
    CHECK_THROWS_AS(Layer({leaf}, chain(1), live), Error);
    CHECK_THROWS_AS(Layer({leaf}, chain(2), live), Error);
    CHECK(*live == 1);
  }
  CHECK(*live == 0);
}

TEST_CASE("only a layer that is no container has an operator of its own") {
  const auto live = counter();
  const auto leaf = std::make_shared<Layer>(plus(1), live);
  Layer outer({leaf}, chain(1), live);
  CHECK(leaf->op() == leaf->snapshot());
  CHECK_THROWS_AS(outer.op(), Error);
}

TEST_CASE("containers nest 256 deep and no deeper") {
  const auto live = counter();
  auto layer = std::make_shared<Layer>(plus(1), live);
  for (int i = 0; i < 256; ++i) layer = std::make_shared<Layer>(std::vector{layer}, chain(1), live);
  CHECK(run(*layer, 0) == 1);
  CHECK_THROWS_AS(Layer({layer}, chain(1), live), Error);
  CHECK(*live == 257);
}

TEST_SUITE_END();
