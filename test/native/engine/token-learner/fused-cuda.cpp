// The fused CUDA engine with its kernels on the host machine and libtorch's operators on the CPU: when it
// verifies its kernels, when it uses them, and when it falls back.
#include <doctest.h>

#include <algorithm>
#include <cmath>
#include <latch>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../random-tensor.hpp"
#include "cuda-faults.hpp"
#include "engine/error.hpp"
#include "engine/token-learner/engine.hpp"
#include "engine/torch/aten.hpp"
#include "engine/torch/library.hpp"

using namespace tokenlearner;
using kernels::Status;
using kernels::cuda::Fault;
using kernels::cuda::test::host_faults;
using namespace test;

namespace {

constexpr int64_t kChannels = 20, kTokens = 2, kHidden = 160;
/// The plans of a verification whose layer has two tiles of hidden rows: whole and divided, in one pass and in
/// two.
constexpr int kVerifyingLaunches = 1 + 2 + 1 + 2;
const ForwardOptions kWithMaps{.return_attention = true, .tokens_first = false, .call = nullptr};

/// A layer in TF32: its kernels are mma for 49 pixels, and small for 100.
struct Layer {
  Layer() {
    load_torch(TOKENLEARNER_TORCH_LIB);
    parameters = {random_tensor({kTokens * kHidden, kChannels, 1, 1}, DType::float32),
                  random_tensor({kTokens * kHidden}, DType::float32),
                  random_tensor({kTokens, kHidden, 1, 1}, DType::float32),
                  random_tensor({kTokens}, DType::float32)};
  }

  std::unique_ptr<TokenLearnerEngine> engine(const std::string& name) const {
    TokenLearnerConfig config;
    config.dim = kChannels;
    config.ff_mult = kHidden / kChannels;
    config.num_output_tokens = kTokens;
    config.allow_tf32 = true;
    config.engine = name;
    return name == "grouped-conv" ? make_grouped_conv_engine(config, parameters)
                                  : make_fused_cuda_engine(config, parameters);
  }

  std::vector<Tensor> parameters;
};

Tensor images(int64_t height = 7, int64_t width = 7) {
  return random_tensor({1, kChannels, height, width}, DType::float32);
}

std::vector<float> tokens_of(const TokenLearnerEngine& engine, const Tensor& x) {
  const Tensor tokens = engine.run(x, kWithMaps).tokens;
  const auto* first = reinterpret_cast<const float*>(tokens.data());
  return {first, first + tokens.numel()};
}

/// The error of a forward: its code's name and its message.
std::string error_of(const TokenLearnerEngine& engine, const Tensor& x) {
  try {
    engine.run(x, kWithMaps);
    return "none";
  } catch (const Error& error) {
    return std::string(name_of(error.code())) + ": " + error.what();
  }
}

/// 'auto' gives grouped-conv's bits.
void check_falls_back(const Layer& layer, const TokenLearnerEngine& engine) {
  const Tensor x = images();
  CHECK(tokens_of(engine, x) == tokens_of(*layer.engine("grouped-conv"), x));
}

}  // namespace

TEST_SUITE_BEGIN("engine/fused-cuda");

TEST_CASE("kernels are verified once, and then used") {
  const Healthy healthy;
  const Layer layer;
  for (const char* name : {"auto", "fused"}) {
    CAPTURE(std::string(name));
    const auto engine = layer.engine(name);
    const Tensor x = images();
    host_faults.maps_launches = 0;
    CHECK(distance(tokens_of(*engine, x), tokens_of(*layer.engine("grouped-conv"), x)) < 0.01);
    CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 1);
    tokens_of(*engine, x);
    CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 2);
  }
}

TEST_CASE("two variants of one format share the packed weights") {
  const Healthy healthy;
  const Layer layer;
  const auto engine = layer.engine("fused");
  tokens_of(*engine, images());
  tokens_of(*engine, images(10, 10));
  CHECK(host_faults.weight_packings.load() == 1);
}

TEST_CASE("a stream's counters are cleared when they are made, and again only when they grow") {
  const Healthy healthy;
  const Layer layer;
  const auto engine = layer.engine("fused");
  const auto check = [&](int64_t height) {
    const Tensor x = images(height, 10);
    CHECK(distance(tokens_of(*engine, x), tokens_of(*layer.engine("grouped-conv"), x)) < 0.01);
  };
  check(10);
  const int verified = host_faults.counter_clearings.load();
  check(10);
  check(20);
  check(10);
  CHECK(host_faults.counter_clearings.load() == verified);
  check(200);
  check(20);
  check(200);
  CHECK(host_faults.counter_clearings.load() == verified + 1);
}

TEST_CASE("kernels whose results depend on the division of the work are refused") {
  const Healthy healthy;
  const Layer layer;
  host_faults.only_divided = true;
  host_faults.map_error = 1e-3f;
  check_falls_back(layer, *layer.engine("auto"));
  CHECK(is_refused("mma tf32", "depend on the batch"));
  const std::string error = error_of(*layer.engine("fused"), images());
  CHECK(contains(error, "ERR_ENGINE_UNSUPPORTED"));
  CHECK(contains(error, "report the device"));
}

TEST_CASE("kernels with wrong results are refused for good") {
  const Healthy healthy;
  const Layer layer;
  host_faults.map_error = 100.0f;
  const auto automatic = layer.engine("auto");
  check_falls_back(layer, *automatic);
  CHECK(is_refused("mma tf32", "disagree with grouped-conv"));
  const auto fused = layer.engine("fused");
  CHECK(contains(error_of(*fused, images()), "'mma tf32' cannot be used"));
  host_faults.map_error = 0.0f;
  host_faults.maps_launches = 0;
  check_falls_back(layer, *automatic);
  CHECK(contains(error_of(*fused, images()), "'mma tf32' cannot be used"));
  CHECK(host_faults.maps_launches.load() == 0);
}

TEST_CASE("kernels that the device refuses are listed with CUDA's reason") {
  const Healthy healthy;
  const Layer layer;
  set_fault(Status::device_error, Fault::launch_refused, "no kernel image");
  check_falls_back(layer, *layer.engine("auto"));
  CHECK(is_refused("mma tf32", "no kernel image (cudaErrorOfTheTest)"));
  CHECK(contains(error_of(*layer.engine("fused"), images()), "ERR_ENGINE_UNSUPPORTED"));
}

TEST_CASE("a rejected argument and a lost device are errors of both engines") {
  const Healthy healthy;
  const Layer layer;
  for (const char* name : {"auto", "fused"}) {
    CAPTURE(std::string(name));
    const auto engine = layer.engine(name);
    set_fault(Status::device_error, Fault::other, "invalid argument");
    CHECK(contains(error_of(*engine, images()),
                   "ERR_LIBTORCH: The fused CUDA engine failed: invalid argument"));
    set_fault(Status::invalid_argument, Fault::none, "");
    CHECK(contains(error_of(*engine, images()), "ERR_LIBTORCH"));
    set_fault(Status::device_error, Fault::device_lost, "illegal address");
    CHECK(contains(error_of(*engine, images()), "ERR_DEVICE_LOST"));
    // The kernels are not refused: they are verified when they work.
    Healthy::reset();
    CHECK(error_of(*engine, images()) == "none");
    CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 1);
  }
}

TEST_CASE("without memory for the verification auto falls back for 100 forwards, and fused throws") {
  const Healthy healthy;
  const Layer layer;
  const auto automatic = layer.engine("auto"), fused = layer.engine("fused");
  set_fault(Status::out_of_memory, Fault::out_of_memory, "out of memory");
  check_falls_back(layer, *automatic);
  CHECK(contains(error_of(*fused, images()), "ERR_OUT_OF_MEMORY"));
  Healthy::reset();
  for (int i = 0; i < 100; ++i) check_falls_back(layer, *automatic);
  CHECK(host_faults.maps_launches.load() == 0);
  CHECK(error_of(*automatic, images()) == "none");
  CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 1);
  CHECK(error_of(*fused, images()) == "none");
}

TEST_CASE("weights with a NaN are no reason to refuse kernels") {
  const Healthy healthy;
  const Layer layer;
  reinterpret_cast<float*>(layer.parameters[1].data())[kHidden] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> tokens = tokens_of(*layer.engine("fused"), images());
  for (std::size_t i = 0; i < tokens.size(); ++i) CHECK(std::isnan(tokens[i]) == (i % kTokens == 1));
}

TEST_CASE("threads with the same kernels share one verification") {
  const Healthy healthy;
  const Layer layer;
  const auto engine = layer.engine("fused");
  const Tensor x = images();
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back([&] { engine->run(x, kWithMaps); });
  for (std::thread& thread : threads) thread.join();
  CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 3);
}

TEST_CASE("forwards with other kernels do not wait for a verification") {
  const Healthy healthy;
  const Layer layer;
  const auto engine = layer.engine("fused");
  const Tensor x = images(), other = images(10, 10);
  std::latch started(1), finished(1);
  std::once_flag first;
  // The verification of mma ends only after a forward with small: this test hangs if that waits.
  host_faults.on_maps = [&] {
    std::call_once(first, [&] {
      started.count_down();
      finished.wait();
    });
  };
  std::thread thread([&] { engine->run(x, kWithMaps); });
  started.wait();
  engine->run(other, kWithMaps);
  finished.count_down();
  thread.join();
  CHECK(host_faults.maps_launches.load() == kVerifyingLaunches + 1);
}

TEST_SUITE_END();
