// TokenLearner v1.1 on the CPU: the numbers of the equations in double, and the same bits however it is run.
#include <doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "v11-problem.hpp"

namespace {

using namespace test;

constexpr Activation kActivations[] = {Activation::none, Activation::gelu_tanh, Activation::gelu_erf};

void check(const V11Case& config, DType dtype, Isa isa) {
  CAPTURE(config.channels);
  CAPTURE(config.height);
  CAPTURE(config.width);
  CAPTURE(config.groups);
  CAPTURE(dtype);
  const V11Problem problem(config, dtype);
  const Result exact = problem.reference();
  const Result ours = problem.run_decoded(isa);
  CHECK(relative_error(ours.tokens, exact.tokens) <= bar(dtype));
  // Maps are in the type of the sums.
  CHECK(relative_error(ours.attention, exact.attention) <= bar(compute_dtype(dtype)));
}

}  // namespace

TEST_SUITE("kernels/token-learner-v11") {
  TEST_CASE("the numbers of the equations") {
    for_each_isa([](Isa isa) {
      for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
        check({.batch = 2, .channels = 24, .height = 5, .width = 7}, dtype, isa);
        check({.channels = 129, .height = 9, .width = 9, .tokens = 5, .hidden = 33}, dtype, isa);
        check({.channels = 3, .height = 1, .width = 2, .tokens = 1, .hidden = 1}, dtype, isa);
        check({.channels = 32, .height = 6, .width = 9, .groups = 8, .activation = Activation::none}, dtype,
              isa);
      }
    });
  }

  TEST_CASE("every size of the last panel") {
    for_each_isa([](Isa isa) {
      for (std::int64_t width = 1; width <= 100; ++width)
        check({.channels = 5, .width = width, .tokens = 3, .hidden = 9}, DType::float32, isa);
    });
  }

  TEST_CASE("large images, many channels, many tokens, every activation") {
    for_each_isa([](Isa isa) {
      check({.channels = 7, .height = 41, .width = 83, .tokens = 3, .hidden = 10}, DType::float32, isa);
      check({.channels = 2000, .height = 3, .width = 50, .tokens = 17, .hidden = 8}, DType::float32, isa);
      for (const Activation activation : kActivations) {
        check({.channels = 40, .height = 6, .width = 9, .activation = activation}, DType::float32, isa);
        check({.channels = 40, .height = 6, .width = 9, .groups = 2, .activation = activation},
              DType::float32, isa);
      }
    });
  }

  TEST_CASE("a common offset costs the maps nothing") {
    for_each_isa([](Isa isa) {
      const V11Case config{.channels = 129, .height = 9, .width = 9, .offset = 100};
      const V11Problem problem(config, DType::float32);
      CHECK(relative_error(problem.run_decoded(isa).attention, problem.reference().attention) <=
            bar(DType::float32));
    });
  }

  TEST_CASE("neither threads nor the layout change a bit") {
    ComputePool pool(4);
    for_each_isa([&](Isa isa) {
      const V11Case config{.batch = 3, .channels = 65, .height = 19, .width = 17, .tokens = 5};
      SerialParallel serial;
      const V11Problem first(config, DType::float32);
      const RawResult one = first.run(isa, serial, 1);
      for (int threads = 2; threads <= 4; ++threads) check_same(one, first.run(isa, pool, threads));
      V11Case other = config;
      other.layout = Layout::channels_last;
      V11Problem last(other, DType::float32);
      auto* to = reinterpret_cast<float*>(last.images().x().data());
      const auto* from = reinterpret_cast<const float*>(first.images().params(nullptr, nullptr).x);
      for (std::int64_t b = 0; b < 3; ++b) {
        for (std::int64_t c = 0; c < 65; ++c) {
          for (std::int64_t p = 0; p < 19 * 17; ++p)
            to[last.images().at(b, c, p / 17, p % 17)] = from[first.images().at(b, c, p / 17, p % 17)];
        }
      }
      check_same(one, last.run(isa, serial, 1));
    });
  }

  TEST_CASE("an image has the same bits alone, in a batch and in a list, with maps and without") {
    // The shares of the second take more memory than a group of images may have.
    const V11Case cases[] = {
        {.batch = 3, .channels = 24, .height = 11, .width = 13},
        {.batch = 4, .channels = 24, .height = 40, .width = 41, .tokens = 512, .hidden = 8}};
    for_each_isa([&](Isa isa) {
      for (const V11Case& config : cases) {
        const V11Problem problem(config, DType::float32);
        SerialParallel serial;
        const RawResult batch = problem.run(isa, serial, 1);
        std::shared_ptr<const NormMlpWeights> packed;
        REQUIRE(NormMlpWeights::pack(problem.view(), isa, packed) == Status::ok);
        std::vector<float> tokens(problem.token_count());
        std::vector<ForwardParams> list;
        for (std::int64_t b = 0; b < config.batch; ++b) {
          ForwardParams params =
              problem.images().params(tokens.data() + b * config.channels * config.tokens, nullptr);
          params.batch = 1;
          params.x = static_cast<const float*>(params.x) + b * params.x_batch_stride;
          list.push_back(params);
        }
        CHECK(token_learner_v11_forward(list, *packed, serial, 1) == Status::ok);
        CHECK(std::memcmp(tokens.data(), batch.tokens.data(), tokens.size() * 4) == 0);
        std::fill(tokens.begin(), tokens.end(), 0.0f);
        for (const ForwardParams& params : list)
          CHECK(token_learner_v11_forward({&params, 1}, *packed, serial, 1) == Status::ok);
        CHECK(std::memcmp(tokens.data(), batch.tokens.data(), tokens.size() * 4) == 0);
      }
    });
  }

  TEST_CASE("the token of one pixel is that pixel") {
    for_each_isa([](Isa isa) {
      const V11Problem problem({.batch = 2, .channels = 77, .offset = 100}, DType::float32);
      SerialParallel serial;
      const RawResult raw = problem.run(isa, serial, 1, true);
      const auto* x = static_cast<const float*>(problem.images().params(nullptr, nullptr).x);
      for (std::int64_t b = 0; b < 2; ++b) {
        for (std::int64_t g = 0; g < 8; ++g)
          CHECK(std::memcmp(raw.tokens.data() + (b * 8 + g) * 77 * 4, x + b * 77, 77 * 4) == 0);
      }
    });
  }

  TEST_CASE("NaN and infinity reach all tokens of their image, and no other image") {
    for_each_isa([](Isa isa) {
      for (const float special : {NAN, INFINITY, -INFINITY}) {
        V11Problem problem({.batch = 2, .channels = 9, .height = 4, .width = 5}, DType::float32);
        reinterpret_cast<float*>(problem.images().x().data())[9 * 20 + 3] = special;
        const Result result = problem.run_decoded(isa);
        for (std::size_t i = 0; i < result.tokens.size(); ++i)
          CHECK(std::isnan(result.tokens[i]) == (i >= result.tokens.size() / 2));
      }
    });
  }

  TEST_CASE("arguments that it cannot compute") {
    const V11Problem problem({.channels = 4}, DType::float32);
    std::shared_ptr<const NormMlpWeights> packed;
    TokenLearnerV11View view = problem.view();
    view.mlp.groups = 3;
    CHECK(NormMlpWeights::pack(view, best_isa(), packed) == Status::invalid_argument);
    REQUIRE(NormMlpWeights::pack(problem.view(), best_isa(), packed) == Status::ok);
    float y[32];
    ForwardParams params = problem.images().params(y, nullptr);
    SerialParallel serial;
    params.height = 0;
    CHECK(token_learner_v11_forward(std::span(&params, 1), *packed, serial, 1) == Status::invalid_argument);
    params.height = 1;
    params.dtype = DType::float64;
    CHECK(token_learner_v11_forward(std::span(&params, 1), *packed, serial, 1) == Status::unsupported);
    params.batch = 0;
    params.dtype = DType::float32;
    CHECK(token_learner_v11_forward(std::span(&params, 1), *packed, serial, 1) == Status::ok);
  }
}

TEST_SUITE("kernels/exponential") {
  TEST_CASE("exp is right to two units in the last place, and has its limits") {
    for_each_isa([](Isa isa) {
      std::vector<float> in;
      for (float x = -87; x <= 88; x += 0.0137f) in.push_back(x);
      std::vector<float> out(in.size());
      const NormMlpKernels& kernels = *kernels_of(isa).float32.norm_mlp;
      kernels.exponential(in.data(), out.data(), static_cast<std::int64_t>(in.size()));
      double worst = 0;
      for (std::size_t i = 0; i < in.size(); ++i) {
        const double exact = std::exp(static_cast<double>(in[i]));
        worst = std::max(worst, std::fabs(out[i] - exact) / exact);
      }
      CHECK(worst <= 0x1p-22);
      const float limits[] = {0.0f, -1e30f, -INFINITY, 1e30f, INFINITY, NAN};
      float of[6];
      kernels.exponential(limits, of, 6);
      CHECK(of[0] == 1);
      CHECK(of[1] == 0);
      CHECK(of[2] == 0);
      CHECK(of[3] == INFINITY);
      CHECK(of[4] == INFINITY);
      CHECK(std::isnan(of[5]));
    });
  }

  TEST_CASE("GELU's tanh form") {
    for_each_isa([](Isa isa) {
      std::vector<float> in;
      for (float x = -20; x <= 20; x += 0.00317f) in.push_back(x);
      std::vector<float> out(in.size());
      const NormMlpKernels& kernels = *kernels_of(isa).float32.norm_mlp;
      kernels.gelu_tanh(in.data(), out.data(), static_cast<std::int64_t>(in.size()));
      double worst = 0;
      for (std::size_t i = 0; i < in.size(); ++i) {
        const double exact = activate(Activation::gelu_tanh, in[i]);
        // Of |x|: the bar of the erf form in gelu.cpp.
        if (in[i] != 0) worst = std::max(worst, std::fabs(out[i] - exact) / std::fabs(in[i]));
      }
      CHECK(worst <= 0x1p-22);
      const float limits[] = {0.0f, -0.0f, 1e30f, -1e30f, INFINITY, -INFINITY, NAN};
      float of[7];
      kernels.gelu_tanh(limits, of, 7);
      CHECK(of[0] == 0);
      CHECK(std::signbit(of[1]));
      CHECK(of[2] == 1e30f);
      CHECK(of[3] == 0);
      CHECK(of[4] == INFINITY);
      // 0.5 * -infinity * (1 + tanh(-infinity)).
      CHECK(std::isnan(of[5]));
      CHECK(std::isnan(of[6]));
    });
  }
}
