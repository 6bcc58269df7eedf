// The fused CUDA engine of TokenFuser, as token-learner-v11/fused-cuda.cpp tests that of TokenLearner v1.1.
#include <doctest.h>

#include "../random-tensor.hpp"
#include "../token-learner/cuda-faults.hpp"
#include "engine/error.hpp"
#include "engine/token-fuser/engine.hpp"
#include "engine/torch/aten.hpp"
#include "engine/torch/library.hpp"

using namespace tokenlearner;
using namespace test;

namespace {

constexpr int64_t kChannels = 20, kTokens = 3, kHidden = 33;
/// The passes of a verification: three images at once, then one after another.
constexpr int kVerifyingLaunches = 1 + 3;

struct Layer {
  explicit Layer(DType dtype = DType::float32, bool normalises = true) : has_norms(normalises) {
    load_torch(TOKENLEARNER_TORCH_LIB);
    std::vector<Dims> shapes(has_norms ? 4 : 0, Dims{kChannels});
    for (const Dims& shape : std::vector<Dims>{{kTokens, kTokens},
                                               {kTokens},
                                               {kChannels},
                                               {kChannels},
                                               {kHidden, kChannels},
                                               {kHidden},
                                               {kTokens, kHidden},
                                               {kTokens}})
      shapes.push_back(shape);
    for (const Dims& shape : shapes) parameters.push_back(random_tensor(shape, dtype));
  }

  std::unique_ptr<TokenFuserEngine> engine(const std::string& name) const {
    TokenFuserConfig config;
    config.dim = kChannels;
    config.num_tokens = kTokens;
    config.bottleneck_dim = kHidden;
    config.use_normalization = has_norms;
    config.engine = name;
    return name == "libtorch" ? make_libtorch_fuser_engine(config, parameters)
                              : make_fused_cuda_fuser_engine(config, parameters);
  }

  bool has_norms;
  std::vector<Tensor> parameters;
};

struct FuserInputs {
  explicit FuserInputs(DType dtype = DType::float32, int64_t batch = 2)
      : tokens(random_tensor({batch, kChannels, kTokens}, dtype)),
        original(random_tensor({batch, kChannels, 5, 9}, dtype)) {}
  Tensor tokens, original;
};

OutputAndMaps run(const TokenFuserEngine& engine, const FuserInputs& inputs, bool channels_last = false) {
  return engine.run(inputs.tokens, inputs.original, channels_last,
                    {.return_attention = true, .tokens_first = false, .call = nullptr});
}

std::vector<float> numbers(const Tensor& tensor) {
  const Tensor single = aten::to_copy(tensor, DType::float32, Device::cpu());
  const auto* first = reinterpret_cast<const float*>(single.data());
  return {first, first + single.numel()};
}

void check_close(const OutputAndMaps& ours, const OutputAndMaps& theirs, double bound) {
  CHECK(ours.output.shape == theirs.output.shape);
  CHECK(ours.maps.shape == theirs.maps.shape);
  CHECK(ours.maps.dtype == theirs.maps.dtype);
  CHECK(distance(numbers(ours.output), numbers(theirs.output)) < bound);
  CHECK(distance(numbers(ours.maps), numbers(theirs.maps)) < bound);
}

}  // namespace

TEST_SUITE_BEGIN("engine/fused-cuda-fuser");

TEST_CASE("kernels are verified once for each order of the output, and then used") {
  const Healthy healthy;
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) {
    for (const bool has_norms : {true, false}) {
      const Layer layer(dtype, has_norms);
      const auto engine = layer.engine("auto"), libtorch = layer.engine("libtorch");
      const FuserInputs inputs(dtype);
      const double bound = dtype == DType::float32 ? 1e-4 : 0.2;
      host_faults.maps_launches = 0;
      check_close(run(*engine, inputs), run(*libtorch, inputs), bound);
      CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 1);
      check_close(run(*engine, inputs, true), run(*libtorch, inputs, true), bound);
      run(*engine, inputs);
      CHECK(host_faults.maps_launches.load() == 2 * kVerifyingLaunches + 3);
    }
  }
}

TEST_CASE("strided tokens, a channels-last original, and an empty batch") {
  const Healthy healthy;
  const Layer layer;
  const auto engine = layer.engine("fused"), libtorch = layer.engine("libtorch");
  FuserInputs inputs;
  inputs.tokens = random_tensor({2, kTokens, kChannels}, DType::float32);
  inputs.tokens.shape = {2, kChannels, kTokens};
  inputs.tokens.strides = {kTokens * kChannels, 1, kChannels};
  inputs.original = random_tensor({2, 5, 9, kChannels}, DType::float32);
  inputs.original.shape = {2, kChannels, 5, 9};
  inputs.original.strides = {5 * 9 * kChannels, 1, 9 * kChannels, kChannels};
  check_close(run(*engine, inputs, true), run(*libtorch, inputs, true), 1e-4);
  CHECK(run(*engine, FuserInputs(DType::float32, 0)).output.shape == Dims{0, kChannels, 5, 9});
}

TEST_CASE("kernels that are wrong, depend on the batch or are refused by the device are not used") {
  const Healthy healthy;
  const Layer layer;
  const FuserInputs inputs;
  const std::vector<float> exact = numbers(run(*layer.engine("libtorch"), inputs).output);
  const auto check_refused = [&](const std::string& reason) {
    CHECK(numbers(run(*layer.engine("auto"), inputs).output) == exact);
    CHECK(is_refused("fuser float32", reason));
    CHECK_THROWS_WITH_AS(run(*layer.engine("fused"), inputs),
                         doctest::Contains("'fuser float32' cannot be used"), Error);
  };
  host_faults.map_error = 100.0f;
  check_refused("disagree with libtorch's");
  host_faults.only_divided = true;
  check_refused("depend on the batch");
  Healthy::reset();
  set_fault(Status::device_error, Fault::launch_refused, "no kernel image");
  check_refused("no kernel image");
  set_fault(Status::device_error, Fault::device_lost, "illegal address");
  CHECK_THROWS_WITH_AS(run(*layer.engine("auto"), inputs), doctest::Contains("illegal address"), Error);
}

TEST_SUITE_END();
