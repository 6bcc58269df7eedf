// The fused CUDA engine of TokenLearner v1.0, as token-learner-v11/fused-cuda.cpp tests that of v1.1.
#include <doctest.h>

#include "../random-tensor.hpp"
#include "../token-learner/cuda-faults.hpp"
#include "engine/error.hpp"
#include "engine/token-learner-v10/engine.hpp"
#include "engine/torch/aten.hpp"
#include "engine/torch/library.hpp"

using namespace tokenlearner;
using namespace test;

namespace {

constexpr int64_t kChannels = 20, kTokens = 3;
/// The passes of a verification: three images at once, then one after another.
constexpr int kVerifyingLaunches = 1 + 3;

struct Layer {
  explicit Layer(DType dtype = DType::float32) {
    load_torch(TOKENLEARNER_TORCH_LIB);
    for (const int64_t inputs : {int64_t{0}, int64_t{0}, kChannels, kTokens, kTokens, kTokens}) {
      const Dims shape = inputs == 0 ? Dims{kChannels} : Dims{kTokens, inputs, 3, 3};
      parameters.push_back(random_tensor(shape, dtype));
    }
  }

  std::unique_ptr<TokenLearnerEngine> engine(const std::string& name,
                                             const std::string& pooling = "mean") const {
    TokenLearnerV10Config config;
    config.dim = kChannels;
    config.num_output_tokens = kTokens;
    config.pooling = pooling;
    config.engine = name;
    return name == "libtorch" ? make_libtorch_v10_engine(config, parameters)
                              : make_fused_cuda_v10_engine(config, parameters);
  }

  std::vector<Tensor> parameters;
};

Tensor images(DType dtype = DType::float32, int64_t height = 7) {
  return random_tensor({2, kChannels, height, 7}, dtype);
}

TokensAndMaps run(const TokenLearnerEngine& engine, const Tensor& x) {
  return engine.run(x, {.return_attention = true, .tokens_first = false, .call = nullptr});
}

std::vector<float> numbers(const Tensor& tensor) {
  const Tensor single = aten::to_copy(tensor, DType::float32, Device::cpu());
  const auto* first = reinterpret_cast<const float*>(single.data());
  return {first, first + single.numel()};
}

void check_close(const TokensAndMaps& ours, const TokensAndMaps& theirs, double bound) {
  CHECK(ours.tokens.shape == theirs.tokens.shape);
  CHECK(ours.maps.shape == theirs.maps.shape);
  CHECK(ours.maps.dtype == theirs.maps.dtype);
  CHECK(distance(numbers(ours.tokens), numbers(theirs.tokens)) < bound);
  CHECK(distance(numbers(ours.maps), numbers(theirs.maps)) < 10 * bound);
}

}  // namespace

TEST_SUITE_BEGIN("engine/fused-cuda-v10");

TEST_CASE("kernels are verified once, and then used") {
  const Healthy healthy;
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) {
    const Layer layer(dtype);
    const auto engine = layer.engine("auto");
    const Tensor x = images(dtype);
    const double bound = dtype == DType::float32 ? 1e-4 : 0.1;
    host_faults.maps_launches = 0;
    check_close(run(*engine, x), run(*layer.engine("libtorch"), x), bound);
    CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 1);
    run(*engine, x);
    CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 2);
  }
}

TEST_CASE("the sum, channels last, and long images") {
  const Healthy healthy;
  const Layer layer;
  const auto engine = layer.engine("fused", "sum"), libtorch = layer.engine("libtorch", "sum");
  const Tensor x = images();
  check_close(run(*engine, x), run(*libtorch, x), 1e-3);
  Tensor last = random_tensor({2, 5, 9, kChannels}, DType::float32);
  last.shape = {2, kChannels, 5, 9};
  last.strides = {5 * 9 * kChannels, 1, 9 * kChannels, kChannels};
  check_close(run(*engine, last), run(*libtorch, last), 1e-3);
  const Tensor longer = images(DType::float32, 150);
  check_close(run(*engine, longer), run(*libtorch, longer), 1e-2);
}

TEST_CASE("kernels that are wrong, depend on the batch or are refused by the device are not used") {
  const Healthy healthy;
  const Layer layer;
  const Tensor x = images();
  const std::vector<float> exact = numbers(run(*layer.engine("libtorch"), x).tokens);
  const auto check_refused = [&](const std::string& reason) {
    CHECK(numbers(run(*layer.engine("auto"), x).tokens) == exact);
    CHECK(is_refused("v1.0 float32", reason));
    CHECK_THROWS_WITH_AS(run(*layer.engine("fused"), x), doctest::Contains("'v1.0 float32' cannot be used"),
                         Error);
  };
  host_faults.map_error = 100.0f;
  check_refused("disagree with libtorch's");
  host_faults.only_divided = true;
  check_refused("depend on the batch");
  Healthy::reset();
  set_fault(Status::device_error, Fault::launch_refused, "no kernel image");
  check_refused("no kernel image");
  set_fault(Status::device_error, Fault::device_lost, "illegal address");
  CHECK_THROWS_WITH_AS(run(*layer.engine("auto"), x), doctest::Contains("illegal address"), Error);
}

TEST_SUITE_END();
