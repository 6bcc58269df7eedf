// TokenLearner v1.0 on the CPU: the numbers of the equations in double, and the same bits however it is run.
#include <doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "v10-problem.hpp"

namespace {

using namespace test;

void check(const V11Case& config, DType dtype, Isa isa, bool takes_mean = false) {
  CAPTURE(config.channels);
  CAPTURE(config.height);
  CAPTURE(config.width);
  CAPTURE(config.tokens);
  CAPTURE(dtype);
  const V10Problem problem(config, dtype, takes_mean);
  const Result exact = problem.reference();
  const Result ours = problem.run_decoded(isa);
  CHECK(relative_error(ours.tokens, exact.tokens) <= bar(dtype));
  // Maps are in the type of the sums.
  CHECK(relative_error(ours.attention, exact.attention) <= bar(compute_dtype(dtype)));
}

}  // namespace

TEST_SUITE("kernels/token-learner-v10") {
  TEST_CASE("the numbers of the equations") {
    for_each_isa([](Isa isa) {
      for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
        check({.batch = 2, .channels = 24, .height = 5, .width = 7}, dtype, isa);
        check({.batch = 2, .channels = 24, .height = 5, .width = 7}, dtype, isa, true);
        check({.channels = 129, .height = 9, .width = 9, .tokens = 5}, dtype, isa);
        check({.channels = 3, .height = 1, .width = 2, .tokens = 1}, dtype, isa);
      }
    });
  }

  TEST_CASE("every width and every height") {
    for_each_isa([](Isa isa) {
      for (std::int64_t size = 1; size <= 70; ++size) {
        check({.channels = 5, .height = 2, .width = size, .tokens = 3}, DType::float32, isa);
        check({.channels = 5, .height = size, .width = 1, .tokens = 2}, DType::float32, isa);
      }
    });
  }

  TEST_CASE("large images, many channels, many tokens, both activations") {
    for_each_isa([](Isa isa) {
      check({.channels = 7, .height = 41, .width = 83, .tokens = 3}, DType::float32, isa);
      check({.channels = 9, .height = 3, .width = 1100, .tokens = 2}, DType::float32, isa);
      check({.channels = 1000, .height = 3, .width = 50, .tokens = 17}, DType::float32, isa);
      check({.channels = 40, .height = 6, .width = 9, .activation = Activation::gelu_erf}, DType::float32,
            isa);
      check({.channels = 129, .height = 9, .width = 9, .offset = 100}, DType::float32, isa);
    });
  }

  TEST_CASE("neither threads nor the layout change a bit") {
    ComputePool pool(4);
    for_each_isa([&](Isa isa) {
      const V11Case config{.batch = 3, .channels = 65, .height = 70, .width = 33, .tokens = 5};
      SerialParallel serial;
      const V10Problem first(config, DType::float32);
      const RawResult one = first.run(isa, serial, 1);
      for (int threads = 2; threads <= 4; ++threads) check_same(one, first.run(isa, pool, threads));
      CHECK((one.tokens == first.run(isa, serial, 1, false).tokens));
      V11Case other = config;
      other.layout = Layout::channels_last;
      V10Problem last(other, DType::float32);
      auto* to = reinterpret_cast<float*>(last.images().images().x().data());
      const auto* from = reinterpret_cast<const float*>(first.images().images().params(nullptr, nullptr).x);
      for (std::int64_t b = 0; b < 3; ++b) {
        for (std::int64_t c = 0; c < 65; ++c) {
          for (std::int64_t p = 0; p < 70 * 33; ++p)
            to[last.images().images().at(b, c, p / 33, p % 33)] =
                from[first.images().images().at(b, c, p / 33, p % 33)];
        }
      }
      check_same(one, last.run(isa, serial, 1));
    });
  }

  TEST_CASE("an image has the same bits alone, in a batch and in a list") {
    for_each_isa([](Isa isa) {
      const V10Problem problem({.batch = 3, .channels = 24, .height = 11, .width = 13}, DType::float32);
      SerialParallel serial;
      const RawResult batch = problem.run(isa, serial, 1);
      std::shared_ptr<const TokenLearnerV10Weights> packed;
      REQUIRE(TokenLearnerV10Weights::pack(problem.view(), isa, packed) == Status::ok);
      std::vector<float> tokens(problem.images().token_count());
      std::vector<ForwardParams> list;
      for (std::int64_t b = 0; b < 3; ++b) {
        ForwardParams params = problem.images().images().params(tokens.data() + b * 24 * 8, nullptr);
        params.batch = 1;
        params.x = static_cast<const float*>(params.x) + b * params.x_batch_stride;
        list.push_back(params);
      }
      CHECK(token_learner_v10_forward(list, *packed, serial, 1) == Status::ok);
      CHECK(std::memcmp(tokens.data(), batch.tokens.data(), tokens.size() * 4) == 0);
    });
  }

  TEST_CASE("a batch whose planes do not fit in one group") {
    ComputePool pool(2);
    for_each_isa([&](Isa isa) {
      // 64 MB hold about 3 of these images.
      const V11Case config{.batch = 5, .channels = 1, .height = 180, .width = 250, .tokens = 8};
      const V10Problem problem(config, DType::float32);
      SerialParallel serial;
      const RawResult batch = problem.run(isa, pool, 2);
      std::shared_ptr<const TokenLearnerV10Weights> packed;
      REQUIRE(TokenLearnerV10Weights::pack(problem.view(), isa, packed) == Status::ok);
      std::vector<float> tokens(8);
      ForwardParams params = problem.images().images().params(tokens.data(), nullptr);
      params.batch = 1;
      params.x = static_cast<const float*>(params.x) + 4 * params.x_batch_stride;
      CHECK(token_learner_v10_forward(std::span(&params, 1), *packed, serial, 1) == Status::ok);
      CHECK(std::memcmp(tokens.data(), batch.tokens.data() + 4 * 8 * 4, 32) == 0);
    });
  }

  TEST_CASE("NaN and infinity reach all tokens of their image, and no other image") {
    for_each_isa([](Isa isa) {
      for (const float special : {NAN, INFINITY, -INFINITY}) {
        V10Problem problem({.batch = 2, .channels = 9, .height = 4, .width = 5}, DType::float32);
        reinterpret_cast<float*>(problem.images().images().x().data())[9 * 20 + 3] = special;
        const Result result = problem.run_decoded(isa);
        for (std::size_t i = 0; i < result.tokens.size(); ++i)
          CHECK(std::isnan(result.tokens[i]) == (i >= result.tokens.size() / 2));
      }
    });
  }

  TEST_CASE("arguments that it cannot compute") {
    const V10Problem problem({.channels = 4}, DType::float32);
    std::shared_ptr<const TokenLearnerV10Weights> packed;
    TokenLearnerV10View view = problem.view();
    view.convolutions[2] = nullptr;
    CHECK(TokenLearnerV10Weights::pack(view, best_isa(), packed) == Status::invalid_argument);
    view = problem.view();
    view.norm_bias = nullptr;
    CHECK(TokenLearnerV10Weights::pack(view, best_isa(), packed) == Status::invalid_argument);
    REQUIRE(TokenLearnerV10Weights::pack(problem.view(), best_isa(), packed) == Status::ok);
    float y[32];
    ForwardParams params = problem.images().images().params(y, nullptr);
    SerialParallel serial;
    params.height = 0;
    CHECK(token_learner_v10_forward(std::span(&params, 1), *packed, serial, 1) == Status::invalid_argument);
    params.height = 1;
    params.dtype = DType::float64;
    CHECK(token_learner_v10_forward(std::span(&params, 1), *packed, serial, 1) == Status::unsupported);
    params.batch = 0;
    params.dtype = DType::float32;
    CHECK(token_learner_v10_forward(std::span(&params, 1), *packed, serial, 1) == Status::ok);
  }
}
