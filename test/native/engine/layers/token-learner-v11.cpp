// A TokenLearnerV11 on the CPU needs no libtorch, reads every order of its input, and refuses what does not fit.
// test/native/kernels has the numbers.
#include <doctest.h>

#include <cstring>
#include <string>
#include <vector>

#include "engine/error.hpp"
#include "engine/layers/layers.hpp"
#include "engine/memory/generator.hpp"
#include "engine/run/config.hpp"
#include "engine/torch/library.hpp"

using namespace tokenlearner;

namespace {

constexpr int64_t kDim = 6;

Config config() {
  Config config;
  config.add("dim", static_cast<double>(kDim));
  config.add("numOutputTokens", 3.0);
  config.add("bottleneckDim", 5.0);
  config.add("groups", 1.0);
  config.add("eps", 1e-6);
  config.add("approximate", std::string("tanh"));
  config.add("variant", std::string("d"));
  config.add("engine", std::string("auto"));
  config.add("intraOpThreads", 0.0);
  config.add("allowTf32", false);
  return config;
}

Tensor random(Generator& generator, Dims shape) {
  const Tensor tensor = Tensor::empty(std::move(shape), DType::float32);
  generator.uniform(tensor, -0.5, 0.5);
  return tensor;
}

std::vector<Tensor> parameters(Generator& generator) {
  std::vector<Tensor> result;
  for (const Dims& shape : std::vector<Dims>{{kDim}, {kDim}, {5, kDim}, {5}, {3, 5}, {3}})
    result.push_back(random(generator, shape));
  return result;
}

Outputs forward(const Op& op, const Tensor& x, bool channels_last, bool flat) {
  CallOptions options;
  options.values.add("returnAttention", true);
  options.values.add("channelsLast", channels_last);
  options.values.add("flat", flat);
  return run_on(op, Device::cpu(), std::vector<Tensor>{x}, options);
}

void check_same(const Tensor& a, const Tensor& b) {
  REQUIRE(a.byte_length() == b.byte_length());
  CHECK(std::memcmp(a.data(), b.data(), a.byte_length()) == 0);
}

}  // namespace

TEST_SUITE_BEGIN("engine/token-learner-v11");

TEST_CASE("channels last, flat and channels first are the same numbers, without libtorch") {
  const bool loaded = torch_info().has_value();
  Generator generator(3);
  const auto op =
      make_layer("token-learner-v11", config(), {DType::float32, Device::cpu()}, parameters(generator));
  const Tensor last = random(generator, {2, 2, 4, 5, kDim});
  Tensor first = last;
  first.shape = {2, 2, kDim, 4, 5};
  first.strides = {2 * 20 * kDim, 20 * kDim, 1, 5 * kDim, kDim};
  const Outputs expected = forward(*op, first, false, false);
  CHECK(expected[0].shape == Dims{2, 2, kDim, 3});
  CHECK(expected[1].shape == Dims{2, 2, 3, 4, 5});
  const Outputs grid = forward(*op, last, true, false);
  CHECK(grid[1].shape == Dims{2, 2, 3, 4, 5});
  const Outputs flat = forward(*op, reshaped(last, {2, 2, 20, kDim}), true, true);
  CHECK(flat[1].shape == Dims{2, 2, 3, 20});
  for (const Outputs& outputs : {grid, flat}) {
    check_same(outputs[0], expected[0]);
    check_same(outputs[1], expected[1]);
  }
  CHECK(torch_info().has_value() == loaded);
}

TEST_CASE("inputs and parameters that do not fit") {
  Generator generator(4);
  std::vector<Tensor> weights = parameters(generator);
  const auto op = make_layer("token-learner-v11", config(), {DType::float32, Device::cpu()}, weights);
  CHECK_THROWS_AS(forward(*op, random(generator, {5, 4, 4}), false, false), Error);
  CHECK_THROWS_AS(forward(*op, random(generator, {kDim}), true, true), Error);
  CHECK_THROWS_AS(forward(*op, random(generator, {kDim, 4}), false, true), Error);
  CHECK_THROWS_AS(forward(*op, Tensor::empty({kDim, 0, 4}, DType::float32), false, false), Error);
  CHECK_THROWS_AS(forward(*op, Tensor::empty({kDim, 4, 4}, DType::float64), false, false), Error);
  weights.pop_back();
  CHECK_THROWS_AS(make_layer("token-learner-v11", config(), {DType::float32, Device::cpu()}, weights), Error);
}

TEST_SUITE_END();
