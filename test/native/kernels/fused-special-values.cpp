// NaN and infinity in the data: they reach what depends on them, as in the mathematics, and nothing else.
#include "support.hpp"

namespace {

using namespace test;

constexpr float kNan = NAN;
constexpr float kInfinity = INFINITY;

/** Sets one element of x, runs, and compares with the oracle: NaN where it has NaN, infinite where it is
 * infinite. */
void check_value(const Case& config, Isa isa, float value, std::int64_t image, std::int64_t pixel) {
  Problem problem(config, DType::float32);
  const std::int64_t index =
      problem.at(image, config.channels / 2, pixel / config.width, pixel % config.width);
  reinterpret_cast<float*>(problem.x().data())[index] = value;
  const Result oracle = run_reference(problem);
  const Result fused = run_fused(problem, isa);
  const auto compare = [&](const char* what, const std::vector<double>& actual,
                           const std::vector<double>& expected) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const bool agrees = std::isnan(expected[i])   ? std::isnan(actual[i])
                          : std::isinf(expected[i]) ? actual[i] == expected[i]
                                                    : std::isfinite(actual[i]);
      CHECK(agrees, "%s %s %s[%d]: %g, oracle %g", name_of(isa), config.name().c_str(), what, int(i),
            actual[i], expected[i]);
      if (!agrees) return;
    }
  };
  compare("attention", fused.attention, oracle.attention);
  compare("tokens", fused.tokens, oracle.tokens);
}

/** Only positive rows see the infinity: gelu(+inf) is +inf, and the padding of W1's last panel must not make
 * it NaN. */
void check_positive_infinity(Isa isa) {
  for (const std::int64_t channels : {1, 3, 5, 8}) {
    const auto n = static_cast<std::size_t>(channels);
    const std::vector<float> ones(n * n, 1.0f);
    std::vector<float> x(n, 1.0f);
    x[0] = kInfinity;
    const LayerView layers[2] = {{ones.data(), ones.data()}, {ones.data(), ones.data()}};
    const WeightsView weights{channels, channels, 1, 2, DType::float32, layers};
    std::shared_ptr<const PackedWeights> packed;
    CHECK(PackedWeights::pack(weights, isa, packed) == Status::ok, "pack");
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
    CHECK(fused_forward(params, *packed, serial, 1) == Status::ok, "run");
    CHECK(attention == kInfinity, "%s C %d: %g", name_of(isa), int(channels), static_cast<double>(attention));
  }
}

/** A thread keeps its scratch memory: NaN that a large image left there must not reach the next, smaller one.
 */
void check_scratch(Isa isa) {
  Problem large({1, 4, 16, 32, 4, 2}, DType::float32);
  for (unsigned char& byte : large.x()) byte = 0xff;
  run_fused(large, isa);
  const Problem small({1, 3, 1, 7, 2, 2}, DType::float32);
  for (const double value : run_fused(small, isa).tokens)
    CHECK(std::isfinite(value), "%s: %g", name_of(isa), value);
}

/** The mean over no pixels is 0/0. */
void check_empty_image(Isa isa) {
  const Problem problem({2, 3, 0, 4, 5, 2}, DType::float32);
  for (const double value : run_fused(problem, isa).tokens)
    CHECK(std::isnan(value), "%s: %g", name_of(isa), value);
}

}  // namespace

int main() {
  for (const Isa isa : available_isas()) {
    for (const float value : {kNan, kInfinity, -kInfinity}) {
      check_value({3, 24, 5, 7, 3, 2}, isa, value, 1, 34);
      check_value({3, 3, 7, 7, 2, 1}, isa, value, 1, 0);
      check_value({2, 1, 1, 1, 1, 1}, isa, value, 0, 0);
    }
    check_positive_infinity(isa);
    check_empty_image(isa);
    check_scratch(isa);
  }
  return finish();
}
