// A TokenLearner on the CPU needs no libtorch: any number of layers, dtype and strides. The numbers are those of
// the kernels' reference; test/native/kernels has the exact bars.
#include <doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "../../kernels/stringify.hpp"
#include "engine/layers/layers.hpp"
#include "engine/memory/copy.hpp"
#include "engine/memory/generator.hpp"
#include "engine/run/config.hpp"
#include "engine/token-learner/engine.hpp"
#include "engine/token-learner/marshal.hpp"
#include "engine/torch/library.hpp"
#include "kernels/cpu/reference.hpp"

using namespace tokenlearner;

namespace {

constexpr int64_t kDim = 6;
constexpr int64_t kTokens = 3;
constexpr int64_t kHidden = 2 * kDim;

Config config(int num_layers, const char* engine) {
  Config config;
  config.add("dim", static_cast<double>(kDim));
  config.add("ffMult", 2.0);
  config.add("numOutputTokens", static_cast<double>(kTokens));
  config.add("numLayers", static_cast<double>(num_layers));
  config.add("engine", std::string(engine));
  config.add("intraOpThreads", 0.0);
  config.add("allowTf32", false);
  return config;
}

Tensor random(Generator& generator, Dims shape) {
  const Tensor tensor = Tensor::empty(std::move(shape), DType::float64);
  generator.uniform(tensor, -0.5, 0.5);
  return tensor;
}

std::vector<Tensor> parameters(Generator& generator, int num_layers) {
  std::vector<Tensor> parameters;
  int64_t inputs = kDim;
  for (int i = 0; i < num_layers; ++i) {
    const int64_t rows = kTokens * (i == num_layers - 1 ? 1 : kHidden);
    parameters.push_back(random(generator, {rows, inputs, 1, 1}));
    parameters.push_back(random(generator, {rows}));
    inputs = kHidden;
  }
  return parameters;
}

/// Tokens (B, C, G) and maps (B, G, H, W) of float64 parameters and x.
Outputs reference(const std::vector<Tensor>& parameters, const Tensor& x) {
  TokenLearnerConfig settings;
  settings.dim = kDim;
  settings.num_output_tokens = kTokens;
  const LayerViews layers = layer_views(parameters);
  Outputs outputs{Tensor::empty({x.shape[0], kDim, kTokens}, DType::float64),
                  Tensor::empty({x.shape[0], kTokens, x.shape[2], x.shape[3]}, DType::float64)};
  REQUIRE(kernels::reference_forward(forward_params(x, outputs[1], outputs[0], false),
                                     weights_view(settings, parameters, layers)) == kernels::Status::ok);
  return outputs;
}

/// The numbers in `dtype`.
std::vector<Tensor> rounded(const std::vector<Tensor>& tensors, DType dtype) {
  std::vector<Tensor> results;
  for (const Tensor& tensor : tensors) results.push_back(copied(tensor, dtype));
  return results;
}

void check_close(const Tensor& actual, const Tensor& expected, double tolerance) {
  REQUIRE(actual.shape == expected.shape);
  REQUIRE(actual.is_contiguous());
  const Tensor wide = copied(actual, DType::float64);
  for (int64_t i = 0; i < wide.numel(); ++i) {
    const double got = reinterpret_cast<const double*>(wide.data())[i];
    REQUIRE(std::fabs(got - reinterpret_cast<const double*>(expected.data())[i]) <= tolerance);
  }
}

/// `tolerance` is a few units in the last place of values around 1.
void check_forward(int num_layers, const char* engine, DType dtype, const Dims& size, double tolerance) {
  CAPTURE(num_layers);
  CAPTURE(dtype);
  Generator generator(3);
  // Both sides compute with the same rounded numbers.
  const auto weights = rounded(parameters(generator, num_layers), dtype);
  Tensor x = copied(random(generator, {2, size[0], size[1], kDim}), dtype);
  x.shape = {2, kDim, size[0], size[1]};
  x.strides = {size[0] * size[1] * kDim, 1, size[1] * kDim, kDim};
  const Outputs expected = reference(rounded(weights, DType::float64), copied(x, DType::float64));
  const auto op = make_layer("token-learner", config(num_layers, engine), {dtype, Device::cpu()}, weights);
  CallOptions options;
  options.values.add("returnAttention", true);
  const Outputs outputs = run_on(*op, Device::cpu(), std::vector<Tensor>{x}, options);
  REQUIRE(outputs.size() == 2);
  CHECK(outputs[0].dtype == dtype);
  CHECK(outputs[1].dtype == dtype);
  check_close(outputs[0], expected[0], tolerance);
  check_close(outputs[1], expected[1], tolerance);
}

}  // namespace

TEST_SUITE_BEGIN("engine/token-learner");

TEST_CASE("a forward on the CPU is fused and needs no libtorch") {
  const bool loaded = torch_info().has_value();
  for (const int num_layers : {1, 2, 3, 4}) {
    for (const char* engine : {"auto", "fused"}) {
      check_forward(num_layers, engine, DType::float32, {5, 7}, 1e-6);
      check_forward(num_layers, engine, DType::float32, {1, 1}, 1e-6);
      check_forward(num_layers, engine, DType::float64, {5, 7}, 1e-14);
      check_forward(num_layers, engine, DType::float16, {5, 7}, 0x1p-11);
      check_forward(num_layers, engine, DType::bfloat16, {5, 7}, 0x1p-8);
    }
  }
  CHECK(torch_info().has_value() == loaded);
}

TEST_CASE("outputs are written into the memory that the call gives, also those that are converted") {
  Generator generator(4);
  const auto weights = rounded(parameters(generator, 2), DType::float16);
  const Tensor x = copied(random(generator, {1, kDim, 5, 7}), DType::float16);
  const auto op = make_layer("token-learner", config(2, "auto"), {DType::float16, Device::cpu()}, weights);
  CallOptions options;
  options.values.add("returnAttention", true);
  const std::vector<Dims> shapes = {x.shape};
  for (const std::size_t bytes : op->result_bytes(shapes, options))
    options.results.push_back(Storage::allocate(bytes, true));
  REQUIRE(options.results.size() == 2);
  const Outputs outputs = run_on(*op, Device::cpu(), std::vector<Tensor>{x}, options);
  CHECK(outputs[0].storage.data() == options.results[0].data());
  CHECK(outputs[1].storage.data() == options.results[1].data());
}

TEST_SUITE_END();
