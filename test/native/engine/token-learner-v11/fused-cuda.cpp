// The fused CUDA engine of TokenLearner v1.1 with its kernels on the host machine and libtorch's operators on the CPU: when it
// verifies its kernels, when it uses them, and when it falls back. token-learner/fused-cuda.cpp has what both engines share.
#include <doctest.h>

#include <cstring>

#include "../random-tensor.hpp"
#include "../token-learner/cuda-faults.hpp"
#include "engine/error.hpp"
#include "engine/token-learner-v11/engine.hpp"
#include "engine/torch/aten.hpp"
#include "engine/torch/library.hpp"

using namespace tokenlearner;
using namespace test;

namespace {

constexpr int64_t kChannels = 20, kTokens = 3, kHidden = 33;
/// The passes of a verification: three images at once, then one after another.
constexpr int kVerifyingLaunches = 1 + 3;

struct Layer {
  explicit Layer(DType dtype = DType::float32) {
    load_torch(TOKENLEARNER_TORCH_LIB);
    for (const Dims& shape : std::vector<Dims>{
             {kChannels}, {kChannels}, {kHidden, kChannels}, {kHidden}, {kTokens, kHidden}, {kTokens}})
      parameters.push_back(random_tensor(shape, dtype));
  }

  std::unique_ptr<TokenLearnerEngine> engine(const std::string& name) const {
    TokenLearnerV11Config config;
    config.dim = kChannels;
    config.num_output_tokens = kTokens;
    config.bottleneck_dim = kHidden;
    config.engine = name;
    return name == "libtorch" ? make_libtorch_v11_engine(config, parameters)
                              : make_fused_cuda_v11_engine(config, parameters);
  }

  std::vector<Tensor> parameters;
};

Tensor images(int64_t batch = 2, int64_t height = 7, DType dtype = DType::float32) {
  return random_tensor({batch, kChannels, height, 7}, dtype);
}

std::vector<float> numbers(const Tensor& tensor) {
  const Tensor single = aten::to_copy(tensor, DType::float32, Device::cpu());
  const auto* first = reinterpret_cast<const float*>(single.data());
  return {first, first + single.numel()};
}

TokensAndMaps run(const TokenLearnerEngine& engine, const Tensor& x, bool tokens_first = false) {
  return engine.run(x, {.return_attention = true, .tokens_first = tokens_first, .call = nullptr});
}

void check_close(const TokensAndMaps& ours, const TokensAndMaps& theirs, double bound) {
  CHECK(ours.tokens.shape == theirs.tokens.shape);
  CHECK(ours.maps.shape == theirs.maps.shape);
  CHECK(ours.maps.dtype == theirs.maps.dtype);
  CHECK(distance(numbers(ours.tokens), numbers(theirs.tokens)) < bound);
  CHECK(distance(numbers(ours.maps), numbers(theirs.maps)) < bound);
}

std::string error_of(const TokenLearnerEngine& engine, const Tensor& x) {
  try {
    run(engine, x);
    return "none";
  } catch (const Error& error) {
    return std::string(name_of(error.code())) + ": " + error.what();
  }
}

/// 'auto' gives libtorch's bits.
void check_falls_back(const Layer& layer, const TokenLearnerEngine& engine) {
  const Tensor x = images();
  CHECK(numbers(run(engine, x).tokens) == numbers(run(*layer.engine("libtorch"), x).tokens));
}

}  // namespace

TEST_SUITE_BEGIN("engine/fused-cuda-v11");

TEST_CASE("kernels are verified once, and then used") {
  const Healthy healthy;
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) {
    const Layer layer(dtype);
    const auto engine = layer.engine("auto"), libtorch = layer.engine("libtorch");
    const Tensor x = images(2, 7, dtype);
    const double bound = dtype == DType::float32 ? 1e-4 : 0.1;
    host_faults.maps_launches = 0;
    check_close(run(*engine, x), run(*libtorch, x), bound);
    CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 1);
    check_close(run(*engine, x, true), run(*libtorch, x, true), bound);
    CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 2);
  }
}

TEST_CASE("channels last and long images have kernels of their own, which are verified too") {
  const Healthy healthy;
  const Layer layer;
  const auto engine = layer.engine("fused"), libtorch = layer.engine("libtorch");
  run(*engine, images());
  host_faults.maps_launches = 0;
  Tensor x = random_tensor({2, 5, 9, kChannels}, DType::float32);
  x.shape = {2, kChannels, 5, 9};
  x.strides = {5 * 9 * kChannels, 1, 9 * kChannels, kChannels};
  check_close(run(*engine, x), run(*libtorch, x), 1e-4);
  CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 1);
  const Tensor longer = images(1, 150);
  check_close(run(*engine, longer), run(*libtorch, longer), 1e-4);
  // Two images: 1 + 2 passes.
  CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 1 + 3 + 1);
}

TEST_CASE("a list of images of several sizes, and an empty batch") {
  const Healthy healthy;
  const Layer layer;
  const auto engine = layer.engine("fused");
  const ForwardOptions options{.return_attention = true, .tokens_first = false, .call = nullptr};
  const Tensor a = images(1, 5), b = images(2, 7), c = images(1, 5);
  const ListedImages list[] = {{a, &options}, {b, &options}, {c, &options}};
  const std::vector<TokensAndMaps> results = engine->run_list(list, Device::cpu());
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(numbers(results[i].tokens) == numbers(run(*engine, list[i].x).tokens));
    CHECK(numbers(results[i].maps) == numbers(run(*engine, list[i].x).maps));
  }
  CHECK(run(*engine, images(0)).tokens.shape == Dims{0, kChannels, kTokens});
}

TEST_CASE("without maps nobody computes them") {
  const Healthy healthy;
  const Layer layer;
  const auto engine = layer.engine("fused");
  const Tensor x = images();
  const ForwardOptions none{.return_attention = false, .tokens_first = false, .call = nullptr};
  CHECK(numbers(engine->run(x, none).tokens) == numbers(run(*engine, x).tokens));
}

TEST_CASE("kernels whose results are wrong or depend on the batch are refused for good") {
  const Healthy healthy;
  const Layer layer;
  for (const bool only_divided : {false, true}) {
    host_faults.only_divided = only_divided;
    host_faults.map_error = only_divided ? 1e-3f : 100.0f;
    const auto automatic = layer.engine("auto");
    check_falls_back(layer, *automatic);
    CHECK(is_refused("v1.1 float32", only_divided ? "depend on the batch" : "disagree with libtorch's"));
    const auto fused = layer.engine("fused");
    const std::string error = error_of(*fused, images());
    CHECK(contains(error, "ERR_ENGINE_UNSUPPORTED"));
    CHECK(contains(error, "'v1.1 float32' cannot be used"));
    CHECK(contains(error, "Engine 'auto' uses 'libtorch'"));
    host_faults.map_error = 0.0f;
    host_faults.maps_launches = 0;
    check_falls_back(layer, *automatic);
    CHECK(host_faults.maps_launches.load() == 0);
  }
}

TEST_CASE("a device's refusal, its loss, and missing memory") {
  const Healthy healthy;
  const Layer layer;
  set_fault(Status::device_error, Fault::launch_refused, "no kernel image");
  check_falls_back(layer, *layer.engine("auto"));
  CHECK(is_refused("v1.1 float32", "no kernel image (cudaErrorOfTheTest)"));
  set_fault(Status::device_error, Fault::device_lost, "illegal address");
  CHECK(contains(error_of(*layer.engine("auto"), images()), "ERR_DEVICE_LOST"));
  set_fault(Status::out_of_memory, Fault::out_of_memory, "out of memory");
  const auto automatic = layer.engine("auto");
  check_falls_back(layer, *automatic);
  CHECK(contains(error_of(*layer.engine("fused"), images()), "ERR_OUT_OF_MEMORY"));
  Healthy::reset();
  check_falls_back(layer, *automatic);
  CHECK(host_faults.maps_launches.load() == 0);
}

TEST_CASE("weights with a NaN are no reason to refuse kernels") {
  const Healthy healthy;
  const Layer layer;
  reinterpret_cast<float*>(layer.parameters[4].data())[kHidden] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> tokens = numbers(run(*layer.engine("fused"), images()).tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i) CHECK(std::isnan(tokens[i]) == (i % kTokens == 1));
}

TEST_SUITE_END();
