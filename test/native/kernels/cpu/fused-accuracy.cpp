// The fused engine against the oracle: odd sizes, every instruction set, layouts and types.
//
// The tolerance is derived. float32: twice the error that the same mathematics makes when every operation is
// rounded to float32 in its plain order, no less than 2.5e-7 and no more than 2e-6. 16-bit types: the oracle
// gets the rounded inputs, so only the rounding of the result, half a unit in the last place, and float32's
// error remain.
#include <doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "run.hpp"

namespace {

using namespace test;

constexpr Layout kLayouts[] = {Layout::channels_first, Layout::channels_last, Layout::padded};

float plain_gelu(float x) { return x * 0.5f * (1.0f + std::erf(x * 0.70710678f)); }

/** Straight loops in float32. */
Result run_plain_float(const Problem& problem) {
  const Case& config = problem.config();
  const WeightsView weights = problem.weights();
  const auto* w1 = static_cast<const float*>(weights.layers[0].weight);
  const auto* b1 = static_cast<const float*>(weights.layers[0].bias);
  const auto* w2 = static_cast<const float*>(weights.layers[1].weight);
  const auto* b2 = static_cast<const float*>(weights.layers[1].bias);
  const ForwardParams params = problem.params(nullptr, nullptr);
  const auto* x = static_cast<const float*>(params.x);
  const auto at = [&](std::int64_t b, std::int64_t c, std::int64_t p) {
    return x[problem.at(b, c, p / config.width, p % config.width)];
  };
  Result result;
  for (std::int64_t b = 0; b < config.batch; ++b) {
    std::vector<float> sums(static_cast<std::size_t>(config.channels * config.tokens));
    for (std::int64_t g = 0; g < config.tokens; ++g) {
      for (std::int64_t p = 0; p < config.pixels(); ++p) {
        float map = b2[g];
        for (std::int64_t row = g * config.hidden(); row < (g + 1) * config.hidden(); ++row) {
          float h = b1[row];
          for (std::int64_t c = 0; c < config.channels; ++c) h += w1[row * config.channels + c] * at(b, c, p);
          map += w2[row] * plain_gelu(h);
        }
        result.attention.push_back(static_cast<double>(map));
        for (std::int64_t c = 0; c < config.channels; ++c) {
          sums[static_cast<std::size_t>(c * config.tokens + g)] += at(b, c, p) * map;
        }
      }
    }
    for (const float sum : sums)
      result.tokens.push_back(static_cast<double>(sum / static_cast<float>(config.pixels())));
  }
  return result;
}

double bar(double plain_error) { return std::min(std::max(2 * plain_error, 2.5e-7), 2e-6); }

void append(Result& all, const Result& more) {
  all.tokens.insert(all.tokens.end(), more.tokens.begin(), more.tokens.end());
  all.attention.insert(all.attention.end(), more.attention.begin(), more.attention.end());
}

/**
 * Cancellation can bring a map of one value close to 0, where its relative error means nothing: 32 values or
 * more.
 */
unsigned draws(const Case& config) {
  const std::int64_t values = config.batch * config.tokens * config.pixels();
  return static_cast<unsigned>(std::max<std::int64_t>(1, 32 / values));
}

void check_float32(const Case& config) {
  Result oracle, plain;
  std::vector<Result> fused(available_isas().size());
  for (unsigned seed = 1; seed <= draws(config); ++seed) {
    const Problem problem(config, DType::float32, seed);
    append(oracle, run_reference(problem));
    append(plain, run_plain_float(problem));
    for (std::size_t i = 0; i < fused.size(); ++i) append(fused[i], run_fused(problem, available_isas()[i]));
  }
  for (std::size_t i = 0; i < fused.size(); ++i) {
    INFO(std::string(name_of(available_isas()[i])));
    const double tokens = relative_error(fused[i].tokens, oracle.tokens);
    const double attention = relative_error(fused[i].attention, oracle.attention);
    CHECK(tokens <= bar(relative_error(plain.tokens, oracle.tokens)));
    CHECK(attention <= bar(relative_error(plain.attention, oracle.attention)));
  }
}

/** Each configuration as a subcase. */
void check_all_float32(const std::vector<Case>& configs) {
  for (const Case& config : configs) {
    SUBCASE(config.name().c_str()) { check_float32(config); }
  }
}

/** `rounding` is half a unit in the last place of `dtype`, where that is more than the arithmetic's error. */
void check_other_type(const Case& config, DType dtype, double rounding) {
  const Problem problem(config, dtype);
  const Result oracle = run_reference(problem);
  // float64 against an oracle of the same precision: both may err by the length of the sums.
  const double length = static_cast<double>(config.channels + config.hidden() + config.pixels());
  const double arithmetic = dtype == DType::float64 ? 2 * length * 0x1p-53 : 2e-6;
  for (const Isa isa : available_isas()) {
    INFO(std::string(name_of(isa)));
    const Result fused = run_fused(problem, isa);
    const double tokens = relative_error(fused.tokens, oracle.tokens);
    const double attention = relative_error(fused.attention, oracle.attention);
    CHECK(tokens <= rounding + arithmetic);
    CHECK(attention <= arithmetic);
  }
}

/** Each layout as a subcase. */
void check_other_type(DType dtype, double rounding) {
  for (const Layout layout : kLayouts) {
    for (const Case& config : {Case{3, 24, 5, 7, 5, 2, layout}, Case{2, 3, 27, 42, 1, 3, layout}}) {
      SUBCASE(config.name().c_str()) { check_other_type(config, dtype, rounding); }
    }
  }
}

std::vector<Case> odd_sizes() {
  const struct {
    std::int64_t height, width;
  } images[] = {{1, 1}, {7, 1}, {3, 43}, {27, 42}};
  std::vector<Case> configs;
  for (const auto& image : images) {
    for (const std::int64_t channels : {1, 3, 24, 129}) {
      for (const std::int64_t tokens : {1, 5, 16}) {
        // The largest corner costs the oracle as much as all others together: one size of it is enough.
        const bool large = channels == 129 && image.height == 27;
        const std::int64_t ff = 1 + (channels + tokens + image.width) % 4;
        if (large && tokens != 5) continue;
        configs.push_back({1, channels, image.height, image.width, tokens, ff});
      }
    }
  }
  for (const std::int64_t ff : {1, 2, 3, 4}) configs.push_back({2, 24, 5, 7, 3, ff});
  return configs;
}

}  // namespace

TEST_SUITE("kernels/fused-accuracy") {
  TEST_CASE("float32: odd sizes") { check_all_float32(odd_sizes()); }

  TEST_CASE("float32: layouts") {
    std::vector<Case> configs;
    for (const Layout layout : kLayouts) {
      configs.push_back({3, 24, 9, 9, 5, 2, layout});
      configs.push_back({2, 200, 7, 7, 2, 1, layout});
    }
    check_all_float32(configs);
  }

  TEST_CASE("float32: so many channels that blocks of pixels stream from the level 2 cache") {
    check_float32({1, 768, 10, 10, 1, 1});
  }

  TEST_CASE("float32: magnitudes") {
    std::vector<Case> configs;
    for (const double magnitude : {1e-20, 1e-3, 1e3, 1e15})
      configs.push_back({2, 24, 5, 7, 3, 2, Layout::channels_first, magnitude});
    check_all_float32(configs);
  }

  TEST_CASE("float64") { check_other_type(DType::float64, 0); }

  TEST_CASE("float16") { check_other_type(DType::float16, 0x1p-11); }

  TEST_CASE("bfloat16") { check_other_type(DType::bfloat16, 0x1p-8); }

  TEST_CASE("tokens can be written as (B, G, C)") {
    for_each_isa([](Isa isa) {
      const Problem problem({2, 24, 5, 7, 5, 2}, DType::float32);
      const Result oracle = run_reference(problem, true);
      CHECK(relative_error(run_fused(problem, isa, true).tokens, oracle.tokens) <= 2e-6);
    });
  }

  TEST_CASE("pack refuses what the engine cannot compute") {
    const Problem problem({.channels = 4}, DType::float32);
    std::shared_ptr<const PackedWeights> packed;
    WeightsView weights = problem.weights();
    weights.num_layers = 1;
    CHECK(PackedWeights::pack(weights, best_isa(), packed) == Status::unsupported);
    weights = problem.weights();
    weights.channels = 0;
    CHECK(PackedWeights::pack(weights, best_isa(), packed) == Status::invalid_argument);
    weights = problem.weights();
    weights.dtype = DType::int32;
    CHECK(PackedWeights::pack(weights, best_isa(), packed) == Status::invalid_argument);
  }

  TEST_CASE("forward refuses another dtype and a missing output, and takes a batch of 0") {
    const Problem problem({.channels = 4}, DType::float32);
    const Problem wide({.channels = 4}, DType::float64);
    std::shared_ptr<const PackedWeights> packed;
    REQUIRE(PackedWeights::pack(problem.weights(), best_isa(), packed) == Status::ok);
    SerialParallel serial;
    double out[8];
    CHECK(fused_forward(wide.params(out, out), *packed, serial, 1) == Status::unsupported);
    CHECK(fused_forward(problem.params(nullptr, out), *packed, serial, 1) == Status::invalid_argument);
    ForwardParams integers = problem.params(out, out);
    integers.dtype = DType::int32;
    CHECK(fused_forward(integers, *packed, serial, 1) == Status::invalid_argument);
    ForwardParams empty = problem.params(nullptr, nullptr);
    empty.batch = 0;
    CHECK(fused_forward(empty, *packed, serial, 1) == Status::ok);
  }
}
