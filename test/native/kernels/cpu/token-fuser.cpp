// TokenFuser on the CPU: the numbers of the equations in double, and the same bits however it is run.
#include <doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "fuser-problem.hpp"

namespace {

using namespace test;

void check(const V11Case& config, DType dtype, Isa isa, bool has_norms = true) {
  CAPTURE(config.channels);
  CAPTURE(config.height);
  CAPTURE(config.width);
  CAPTURE(dtype);
  const FuserProblem problem(config, dtype, has_norms);
  const Result exact = problem.reference();
  SerialParallel serial;
  const RawResult raw = problem.run(isa, serial, 1);
  CHECK(relative_error(decode(raw.tokens, dtype, problem.output_count()), exact.tokens) <= bar(dtype));
  const DType sums = compute_dtype(dtype);
  CHECK(relative_error(decode(raw.attention, sums, problem.attention_count()), exact.attention) <= bar(sums));
}

}  // namespace

TEST_SUITE("kernels/token-fuser") {
  TEST_CASE("the numbers of the equations") {
    for_each_isa([](Isa isa) {
      for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
        check({.batch = 2, .channels = 24, .height = 5, .width = 7}, dtype, isa);
        check({.batch = 2, .channels = 24, .height = 5, .width = 7}, dtype, isa, false);
        check({.channels = 129, .height = 9, .width = 9, .tokens = 5, .hidden = 33}, dtype, isa);
      }
    });
  }

  TEST_CASE("every size of the last panel; every number of channels") {
    for_each_isa([](Isa isa) {
      for (std::int64_t size = 1; size <= 100; ++size) {
        check({.channels = 5, .width = size, .tokens = 3, .hidden = 9}, DType::float32, isa);
        check({.channels = size + 2, .width = 3, .tokens = 3, .hidden = 9}, DType::float32, isa);
      }
    });
  }

  TEST_CASE("large images, many channels, many tokens, both activations") {
    for_each_isa([](Isa isa) {
      check({.channels = 7, .height = 41, .width = 83, .tokens = 3, .hidden = 10}, DType::float32, isa);
      check({.channels = 2000, .height = 3, .width = 50, .tokens = 17, .hidden = 8}, DType::float32, isa);
      check({.channels = 40, .height = 6, .width = 9, .activation = Activation::gelu_erf}, DType::float32,
            isa);
      check({.channels = 129, .height = 9, .width = 9, .offset = 100}, DType::float32, isa);
    });
  }

  TEST_CASE("neither threads nor the layouts change a bit") {
    ComputePool pool(4);
    for_each_isa([&](Isa isa) {
      const V11Case config{.batch = 3, .channels = 65, .height = 19, .width = 17, .tokens = 5};
      const std::size_t pixels = 19 * 17, channels = 65;
      SerialParallel serial;
      const FuserProblem problem(config, DType::float32);
      const RawResult one = problem.run(isa, serial, 1);
      for (int threads = 2; threads <= 4; ++threads) {
        const RawResult same = problem.run(isa, pool, threads);
        CHECK((one.tokens == same.tokens));
        CHECK((one.attention == same.attention));
      }
      const RawResult last = problem.run(isa, serial, 1, true);
      CHECK((one.attention == last.attention));
      std::size_t differ = 0;
      for (std::size_t b = 0; b < 3; ++b) {
        for (std::size_t c = 0; c < channels; ++c) {
          for (std::size_t p = 0; p < pixels; ++p)
            differ += std::memcmp(&one.tokens[4 * ((b * channels + c) * pixels + p)],
                                  &last.tokens[4 * ((b * pixels + p) * channels + c)], 4) != 0;
        }
      }
      CHECK(differ == 0);
    });
  }

  TEST_CASE("an image has the same bits alone, in a batch and in a list, with maps and without") {
    for_each_isa([](Isa isa) {
      const FuserProblem problem({.batch = 3, .channels = 24, .height = 11, .width = 13}, DType::float32);
      SerialParallel serial;
      const RawResult batch = problem.run(isa, serial, 1);
      std::shared_ptr<const TokenFuserWeights> packed;
      REQUIRE(TokenFuserWeights::pack(problem.view(), isa, packed) == Status::ok);
      std::vector<float> out(problem.output_count());
      std::vector<TokenFuserParams> list;
      for (std::int64_t b = 0; b < 3; ++b) {
        TokenFuserParams params = problem.params(out.data() + b * 24 * 143, nullptr, false);
        params.batch = 1;
        params.x = static_cast<const float*>(params.x) + b * params.x_batch_stride;
        params.tokens = static_cast<const float*>(params.tokens) + b * params.tokens_batch_stride;
        list.push_back(params);
      }
      CHECK(token_fuser_forward(list, *packed, serial, 1) == Status::ok);
      CHECK(std::memcmp(out.data(), batch.tokens.data(), out.size() * 4) == 0);
    });
  }

  TEST_CASE("NaN and infinity stay in their pixel") {
    for_each_isa([](Isa isa) {
      for (const float special : {NAN, INFINITY, -INFINITY}) {
        FuserProblem problem({.batch = 1, .channels = 9, .height = 4, .width = 5}, DType::float32);
        reinterpret_cast<float*>(problem.original().images().x().data())[3 * 20 + 7] = special;
        SerialParallel serial;
        const RawResult raw = problem.run(isa, serial, 1);
        const std::vector<double> out = decode(raw.tokens, DType::float32, problem.output_count());
        for (std::size_t i = 0; i < out.size(); ++i) CHECK(std::isnan(out[i]) == (i % 20 == 7));
      }
    });
  }

  TEST_CASE("arguments that it cannot compute") {
    const FuserProblem problem({.channels = 4}, DType::float32);
    std::shared_ptr<const TokenFuserWeights> packed;
    TokenFuserView view = problem.view();
    view.norm2_bias = nullptr;
    CHECK(TokenFuserWeights::pack(view, best_isa(), packed) == Status::invalid_argument);
    view = problem.view();
    view.mix_weight = nullptr;
    CHECK(TokenFuserWeights::pack(view, best_isa(), packed) == Status::invalid_argument);
    REQUIRE(TokenFuserWeights::pack(problem.view(), best_isa(), packed) == Status::ok);
    float y[4];
    TokenFuserParams params = problem.params(y, nullptr, false);
    SerialParallel serial;
    params.tokens = nullptr;
    CHECK(token_fuser_forward(std::span(&params, 1), *packed, serial, 1) == Status::invalid_argument);
    params.dtype = DType::float64;
    params.tokens = y;
    CHECK(token_fuser_forward(std::span(&params, 1), *packed, serial, 1) == Status::unsupported);
    params.batch = 0;
    params.dtype = DType::float32;
    CHECK(token_fuser_forward(std::span(&params, 1), *packed, serial, 1) == Status::ok);
  }
}
