// TokenLearner in bfloat16 with products of pairs: against the oracle, the instructions against plain C++, and the same bits
// whatever the batch, the number of threads and the strides.
#include <doctest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "pair-variants.hpp"
#include "run.hpp"

namespace {

using namespace test;

constexpr Layout kFirst = Layout::channels_first;

/** Runs `check(variant)` as one subcase per variant. Call it once per test case. */
template <typename Check>
void for_each_variant(Check check) {
  for (const PairVariant& variant : pair_variants()) {
    SUBCASE(variant.name) { check(variant); }
  }
}

std::shared_ptr<const PackedWeights> packed_for(const Problem& problem, const PairVariant& variant) {
  std::shared_ptr<const PackedWeights> packed;
  REQUIRE(PackedWeights::pack(problem.weights(), variant.isa, *variant.kernels, packed) == Status::ok);
  return packed;
}

RawResult run(const Problem& problem, const PairVariant& variant, Parallel& parallel, int threads,
              bool tokens_first = false) {
  RawResult raw = room_for(problem.token_count(), problem.attention_count(), DType::bfloat16);
  const auto packed = packed_for(problem, variant);
  CHECK(fused_forward(problem.params(raw.tokens.data(), raw.attention.data(), tokens_first), *packed,
                      parallel, threads) == Status::ok);
  check_ends(raw);
  return raw;
}

RawResult run(const Problem& problem, const PairVariant& variant, bool tokens_first = false) {
  SerialParallel serial;
  return run(problem, variant, serial, 1, tokens_first);
}

Result decoded(const RawResult& raw, const Problem& problem) {
  return {decode(raw.tokens, DType::bfloat16, problem.token_count()),
          decode(raw.attention, DType::float32, problem.attention_count())};
}

std::vector<Case> odd_sizes() {
  const std::pair<std::int64_t, std::int64_t> images[] = {{1, 1}, {1, 7}, {9, 9}};
  std::vector<Case> configs;
  for (const std::int64_t channels : {1, 3, 33, 257}) {
    for (const auto& [height, width] : images) {
      for (const int num_layers : {1, 2, 3}) {
        const std::int64_t ff = channels == 257 ? 1 : 2;
        configs.push_back({2, channels, height, width, 3, ff, kFirst, 1, num_layers});
      }
    }
  }
  for (const Layout layout : {Layout::channels_last, Layout::padded}) {
    configs.push_back({3, 33, 5, 7, 2, 2, layout});
    configs.push_back({2, 64, 4, 13, 2, 1, layout});
  }
  return configs;
}

/** The maps are float32 sums: their error is float32's. The tokens are rounded to bfloat16. */
void check_accuracy(const Case& config, const PairVariant& variant) {
  CAPTURE(config.name());
  const Problem problem(config, DType::bfloat16);
  const Result oracle = run_reference(problem);
  const Result fused = decoded(run(problem, variant), problem);
  // Few values may cancel, where a relative error means nothing.
  const bool few = oracle.attention.size() < 32;
  CHECK(relative_error(fused.attention, oracle.attention) <= (few ? 2e-5 : 2e-6));
  CHECK(relative_error(fused.tokens, oracle.tokens) <= 0x1p-8);
}

/** Each image of the batch by itself, in another layout. */
void check_alone(Case config, const PairVariant& variant, Layout layout) {
  CAPTURE(config.name());
  Problem batch(config, DType::bfloat16);
  const RawResult together = run(batch, variant);
  config.layout = layout;
  Problem other(config, DType::bfloat16);
  const std::vector<double> values = decode(batch.x(), DType::bfloat16, batch.x().size() / 2);
  std::vector<double> moved(other.x().size() / 2);
  for (std::int64_t b = 0; b < config.batch; ++b) {
    for (std::int64_t c = 0; c < config.channels; ++c) {
      for (std::int64_t p = 0; p < config.pixels(); ++p) {
        const std::int64_t h = p / config.width, w = p % config.width;
        moved[std::size_t(other.at(b, c, h, w))] = values[std::size_t(batch.at(b, c, h, w))];
      }
    }
  }
  other.x() = encode(moved, DType::bfloat16);
  const auto packed = packed_for(batch, variant);
  SerialParallel serial;
  const std::size_t tokens = batch.token_count() / std::size_t(config.batch);
  const std::size_t maps = batch.attention_count() / std::size_t(config.batch);
  for (std::int64_t b = 0; b < config.batch; ++b) {
    RawResult alone = room_for(tokens, maps, DType::bfloat16);
    ForwardParams params = other.params(alone.tokens.data(), alone.attention.data());
    params.batch = 1;
    params.x = static_cast<const BFloat16*>(params.x) + b * params.x_batch_stride;
    CHECK(fused_forward(params, *packed, serial, 1) == Status::ok);
    CHECK(std::memcmp(alone.tokens.data(), together.tokens.data() + std::size_t(b) * tokens * 2,
                      tokens * 2) == 0);
    CHECK(std::memcmp(alone.attention.data(), together.attention.data() + std::size_t(b) * maps * 4,
                      maps * 4) == 0);
  }
}

/** NaN and infinity where the oracle has them. */
void check_value(const Case& config, const PairVariant& variant, float value) {
  CAPTURE(value);
  Problem problem(config, DType::bfloat16);
  const BFloat16 bits = narrow<BFloat16>(value);
  const std::int64_t at = problem.at(1, config.channels - 1, config.height - 1, config.width - 1);
  std::memcpy(problem.x().data() + at * 2, &bits, 2);
  const Result oracle = run_reference(problem);
  const Result fused = decoded(run(problem, variant), problem);
  const auto check = [](const std::vector<double>& actual, const std::vector<double>& expected) {
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CAPTURE(i);
      CHECK(std::isnan(actual[i]) == std::isnan(expected[i]));
      CHECK(std::isinf(actual[i]) == std::isinf(expected[i]));
    }
  };
  check(fused.tokens, oracle.tokens);
  check(fused.attention, oracle.attention);
}

/** Random bits: subnormal numbers, infinities, NaN. */
void fill_with_bits(Problem& problem, unsigned seed) {
  std::mt19937 random(seed);
  for (std::size_t i = 0; i + 1 < problem.x().size(); i += 2) {
    // One image in two has moderate numbers with subnormal ones between.
    const unsigned bits = random();
    const std::uint16_t value =
        i % 4 == 0 ? std::uint16_t(bits & 0x807f) : std::uint16_t((bits & 0x83ff) | 0x3c00);
    std::memcpy(problem.x().data() + i, &value, 2);
  }
}

/** The maps of both have the same bits. Other processors than x86-64 have no such instruction. */
[[maybe_unused]] void check_instruction(const PairVariant& instruction, const PairVariant& emulated) {
  for (Case config : odd_sizes()) {
    CAPTURE(config.name());
    for (const double magnitude : {1e-37, 1.0, 1e36}) {
      CAPTURE(magnitude);
      config.magnitude = magnitude;
      const Problem problem(config, DType::bfloat16);
      check_same(run(problem, instruction), run(problem, emulated));
    }
    Problem bits(config, DType::bfloat16);
    fill_with_bits(bits, 3);
    check_same(run(bits, instruction), run(bits, emulated));
  }
}

}  // namespace

TEST_SUITE("kernels/pair-products") {
  TEST_CASE("odd sizes and layouts against the oracle") {
    for_each_variant([](const PairVariant& variant) {
      for (const Case& config : odd_sizes()) check_accuracy(config, variant);
    });
  }

  TEST_CASE("the instructions and plain C++ give the same bits") {
#if defined(__x86_64__)
    // Without these instructions there is nothing to compare: the other tests run plain C++ alone.
    if (cpu_features().avx512_bf16) {
      check_instruction({"AVX512_BF16", Isa::avx512, &avx512_bf16_kernels()},
                        {"emulated", Isa::avx512, &emulated_pairs_avx512::emulated()});
    }
    if (enable_tiles()) {
      check_instruction({"AMX_BF16", Isa::avx512, &amx_bf16_kernels()},
                        {"emulated", Isa::avx512, &emulated_tiles_avx512::emulated()});
    }
#endif
  }

  TEST_CASE("an image has the same bits alone and in a batch, in any layout") {
    for_each_variant([](const PairVariant& variant) {
      for (const Layout layout : {Layout::channels_first, Layout::channels_last, Layout::padded}) {
        for (const int num_layers : {1, 2, 3}) {
          check_alone({3, 33, 7, 7, 3, 1, kFirst, 1, num_layers}, variant, layout);
          check_alone({5, 70, 3, 3, 2, 1, kFirst, 1, num_layers}, variant, layout);
        }
      }
    });
  }

  TEST_CASE("the number of threads does not change bits") {
    ComputePool pool(4);
    for_each_variant([&](const PairVariant& variant) {
      const Problem problem({5, 65, 9, 9, 5, 2}, DType::bfloat16);
      const RawResult one = run(problem, variant);
      for (int threads = 2; threads <= pool.threads(); ++threads)
        check_same(one, run(problem, variant, pool, threads));
    });
  }

  TEST_CASE("NaN and infinities spread as in the oracle") {
    for_each_variant([](const PairVariant& variant) {
      for (const float value : {NAN, INFINITY, -INFINITY}) {
        check_value({3, 33, 5, 7, 3, 2}, variant, value);
        check_value({2, 2, 1, 1, 2, 1}, variant, value);
      }
    });
  }

  TEST_CASE("tokens can be written as (B, G, C)") {
    for_each_variant([](const PairVariant& variant) {
      const Problem problem({2, 24, 5, 7, 5, 2}, DType::bfloat16);
      const Result oracle = run_reference(problem, true);
      CHECK(relative_error(decoded(run(problem, variant, true), problem).tokens, oracle.tokens) <= 0x1p-8);
    });
  }

  TEST_CASE("weights in pairs take bfloat16 alone") {
    for_each_variant([](const PairVariant& variant) {
      const Problem problem({1, 4, 2, 2}, DType::bfloat16);
      const Problem wide({1, 4, 2, 2}, DType::float32);
      const auto packed = packed_for(problem, variant);
      SerialParallel serial;
      float out[16];
      CHECK(fused_forward(wide.params(out, out), *packed, serial, 1) == Status::unsupported);
    });
  }

  TEST_CASE("the kernels that a model gets") {
    for (const Isa isa : available_isas()) {
      CAPTURE(name_of(isa));
      const auto chosen = [&](DType dtype) { return &token_learner_kernels(isa, dtype); };
      for (const DType dtype : {DType::float32, DType::float64, DType::float16}) {
        CHECK(chosen(dtype) == &kernels_of(isa).of(dtype));
      }
      if (isa != Isa::avx512) CHECK(chosen(DType::bfloat16) == &kernels_of(isa).bfloat16);
#if defined(__x86_64__)
      if (isa == Isa::avx512 && enable_tiles()) CHECK(chosen(DType::bfloat16) == &amx_bf16_kernels());
#endif
    }
  }
}
