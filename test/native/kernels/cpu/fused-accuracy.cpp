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

/** A of one pixel and one token, in float32. */
float plain_map(const WeightsView& weights, std::int64_t token, std::vector<float> input) {
  for (int i = 0; i < weights.num_layers; ++i) {
    const bool last = i == weights.num_layers - 1;
    const auto* weight = static_cast<const float*>(weights.layers[i].weight);
    const auto* bias = static_cast<const float*>(weights.layers[i].bias);
    const std::int64_t rows = last ? 1 : weights.hidden;
    const auto inputs = static_cast<std::int64_t>(input.size());
    std::vector<float> output;
    for (std::int64_t row = token * rows; row < (token + 1) * rows; ++row) {
      float sum = bias[row];
      for (std::int64_t c = 0; c < inputs; ++c) sum += weight[row * inputs + c] * input[std::size_t(c)];
      output.push_back(last ? sum : plain_gelu(sum));
    }
    input = std::move(output);
  }
  return input[0];
}

/** Straight loops in float32. */
Result run_plain_float(const Problem& problem) {
  const Case& config = problem.config();
  const WeightsView weights = problem.weights();
  const auto* x = static_cast<const float*>(problem.params(nullptr, nullptr).x);
  Result result;
  for (std::int64_t b = 0; b < config.batch; ++b) {
    std::vector<float> sums(static_cast<std::size_t>(config.channels * config.tokens));
    for (std::int64_t g = 0; g < config.tokens; ++g) {
      for (std::int64_t p = 0; p < config.pixels(); ++p) {
        std::vector<float> pixel;
        for (std::int64_t c = 0; c < config.channels; ++c) {
          pixel.push_back(x[problem.at(b, c, p / config.width, p % config.width)]);
        }
        const float map = plain_map(weights, g, pixel);
        result.attention.push_back(static_cast<double>(map));
        for (std::int64_t c = 0; c < config.channels; ++c) {
          sums[static_cast<std::size_t>(c * config.tokens + g)] += pixel[std::size_t(c)] * map;
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
  const double length =
      static_cast<double>(config.channels + (config.num_layers - 1) * config.hidden() + config.pixels());
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
    for (const Case& config : {Case{3, 24, 5, 7, 5, 2, layout}, Case{2, 3, 27, 42, 1, 3, layout},
                               Case{3, 24, 5, 7, 5, 2, layout, 1, 1}, Case{2, 3, 27, 42, 1, 3, layout, 1, 1},
                               Case{2, 9, 5, 7, 3, 3, layout, 1, 3}, Case{2, 3, 7, 7, 2, 2, layout, 1, 4}}) {
      SUBCASE(config.name().c_str()) { check_other_type(config, dtype, rounding); }
    }
  }
}

std::vector<Case> odd_sizes(int num_layers) {
  const struct {
    std::int64_t height, width;
  } images[] = {{1, 1}, {7, 1}, {3, 43}, {27, 42}};
  std::vector<Case> configs;
  for (const auto& image : images) {
    for (const std::int64_t channels : {1, 3, 24, 129}) {
      for (const std::int64_t tokens : {1, 5, 16}) {
        // The largest corner costs the oracle as much as all others together: one size of it is enough, and
        // with more than two layers a part of it.
        const bool large = channels == 129 && image.height == 27;
        const bool costly = num_layers > 2 && channels == 129;
        const std::int64_t ff = costly ? 1 : 1 + (channels + tokens + image.width) % 4;
        if ((large || costly) && tokens != 5) continue;
        configs.push_back({1, channels, costly && large ? 3 : image.height, image.width, tokens, ff,
                           Layout::channels_first, 1, num_layers});
      }
    }
  }
  for (const std::int64_t ff : {1, 2, 3, 4}) {
    configs.push_back({2, 24, 5, 7, 3, ff, Layout::channels_first, 1, num_layers});
  }
  return configs;
}

}  // namespace

TEST_SUITE("kernels/fused-accuracy") {
  TEST_CASE("float32: odd sizes") { check_all_float32(odd_sizes(2)); }

  TEST_CASE("float32: one layer") { check_all_float32(odd_sizes(1)); }

  TEST_CASE("float32: three and four layers") {
    for (const int num_layers : {3, 4}) check_all_float32(odd_sizes(num_layers));
  }

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

  TEST_CASE("float32: so many outputs that a block is narrower than a panel") {
    check_float32({1, 2, 1, 17, 100'000, 1, Layout::channels_first, 1, 1});
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

  TEST_CASE("pack refuses sizes that are invalid, or beyond the address space") {
    const Problem problem({.channels = 4, .num_layers = 4}, DType::float32);
    std::shared_ptr<const PackedWeights> packed;
    const auto pack = [&](auto change) {
      WeightsView weights = problem.weights();
      change(weights);
      return PackedWeights::pack(weights, best_isa(), packed);
    };
    constexpr std::int64_t kHuge = INT64_MAX;
    CHECK(pack([](WeightsView& weights) { weights.channels = 0; }) == Status::invalid_argument);
    CHECK(pack([](WeightsView& weights) { weights.num_layers = 0; }) == Status::invalid_argument);
    CHECK(pack([](WeightsView& weights) { weights.dtype = DType::int32; }) == Status::invalid_argument);
    CHECK(pack([](WeightsView& weights) { weights.channels = kHuge; }) == Status::out_of_memory);
    CHECK(pack([](WeightsView& weights) { weights.hidden = kHuge; }) == Status::out_of_memory);
    CHECK(pack([](WeightsView& weights) { weights.tokens = kHuge; }) == Status::out_of_memory);
    CHECK(pack([](WeightsView& weights) { weights.tokens = kHuge, weights.num_layers = 1; }) ==
          Status::out_of_memory);
    CHECK(packed == nullptr);
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
