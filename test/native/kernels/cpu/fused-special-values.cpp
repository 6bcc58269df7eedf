// NaN and infinity in the data reach the results that depend on them, as in the mathematics, and no others.
#include <doctest.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "run.hpp"

namespace {

using namespace test;

constexpr float kNan = NAN;
constexpr float kInfinity = INFINITY;

/** NaN where the oracle has NaN, infinite where it is infinite, else finite. Stops at the first mismatch. */
void check_same_kind(const std::string& name, const std::vector<double>& actual,
                     const std::vector<double>& oracle) {
  for (std::size_t i = 0; i < oracle.size(); ++i) {
    const bool agrees = std::isnan(oracle[i])   ? std::isnan(actual[i])
                        : std::isinf(oracle[i]) ? actual[i] == oracle[i]
                                                : std::isfinite(actual[i]);
    INFO(name, " at ", i);
    CAPTURE(actual[i]);
    CAPTURE(oracle[i]);
    CHECK(agrees);
    if (!agrees) return;
  }
}

/** Sets one element of x to `value`, runs, and compares with the oracle. */
void check_value(const Case& config, Isa isa, float value, std::int64_t image, std::int64_t pixel) {
  CAPTURE(config.name());
  CAPTURE(value);
  Problem problem(config, DType::float32);
  const std::int64_t index =
      problem.at(image, config.channels / 2, pixel / config.width, pixel % config.width);
  reinterpret_cast<float*>(problem.x().data())[index] = value;
  const Result oracle = run_reference(problem);
  const Result fused = run_fused(problem, isa);
  check_same_kind("attention", fused.attention, oracle.attention);
  check_same_kind("tokens", fused.tokens, oracle.tokens);
}

/** Layers of ones over one pixel of ones with one infinity. */
void check_positive_infinity(Isa isa, std::int64_t channels, int num_layers) {
  CAPTURE(channels);
  CAPTURE(num_layers);
  const auto n = static_cast<std::size_t>(channels);
  const std::vector<float> ones(n * n, 1.0f);
  std::vector<float> x(n, 1.0f);
  x[0] = kInfinity;
  const std::vector<LayerView> layers(std::size_t(num_layers), {ones.data(), ones.data()});
  const WeightsView weights{channels, channels, 1, num_layers, DType::float32, layers.data()};
  std::shared_ptr<const PackedWeights> packed;
  REQUIRE(PackedWeights::pack(weights, isa, packed) == Status::ok);
  std::vector<float> tokens(n);
  float attention = 0;
  ForwardParams params;
  params.batch = params.height = params.width = 1;
  params.x = x.data();
  params.x_channel_stride = params.x_pixel_stride = params.x_row_stride = 1;
  params.tokens = tokens.data();
  params.tokens_channel_stride = 1;
  params.attention = &attention;
  params.attention_token_stride = 1;
  SerialParallel serial;
  CHECK(fused_forward(params, *packed, serial, 1) == Status::ok);
  CHECK(attention == kInfinity);
}

}  // namespace

TEST_SUITE("kernels/fused-special-values") {
  TEST_CASE("NaN and infinities spread as in the oracle") {
    for_each_isa([](Isa isa) {
      for (const float value : {kNan, kInfinity, -kInfinity}) {
        check_value({3, 24, 5, 7, 3, 2}, isa, value, 1, 34);
        check_value({3, 3, 7, 7, 2, 1}, isa, value, 1, 0);
        check_value({2, 1, 1, 1, 1, 1}, isa, value, 0, 0);
        for (const int num_layers : {1, 3, 4}) {
          check_value({3, 24, 5, 7, 3, 2, Layout::channels_first, 1, num_layers}, isa, value, 1, 34);
          check_value({3, 3, 7, 7, 2, 1, Layout::channels_first, 1, num_layers}, isa, value, 1, 0);
        }
      }
    });
  }

  TEST_CASE("gelu(+infinity) is +infinity, and the padding of a layer's last panel does not make it NaN") {
    for_each_isa([](Isa isa) {
      for (const int num_layers : {1, 2, 3, 4}) {
        for (const std::int64_t channels : {1, 3, 5, 8}) check_positive_infinity(isa, channels, num_layers);
      }
    });
  }

  TEST_CASE("NaN that a large image left in a thread's scratch memory does not reach the next, smaller one") {
    for_each_isa([](Isa isa) {
      Problem large({1, 4, 16, 32, 4, 2}, DType::float32);
      for (unsigned char& byte : large.x()) byte = 0xff;
      run_fused(large, isa);
      const Problem small({1, 3, 1, 7, 2, 2}, DType::float32);
      for (const double value : run_fused(small, isa).tokens) CHECK(std::isfinite(value));
    });
  }

  TEST_CASE("the mean over no pixels is NaN") {
    for_each_isa([](Isa isa) {
      for (const int num_layers : {1, 2, 3}) {
        const Problem problem({2, 3, 0, 4, 5, 2, Layout::channels_first, 1, num_layers}, DType::float32);
        for (const double value : run_fused(problem, isa).tokens) CHECK(std::isnan(value));
      }
    });
  }
}
