// TokenLearner v1.0's CUDA kernels on the host machine: the numbers of the equations, and the same bits however they run.
#include <doctest.h>

#include <cmath>

#include "host-forward.hpp"
#include "v10-device.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

using ::test::Layout;
using ::test::RawResult;
using ::test::V10Problem;
using ::test::V11Case;

constexpr Precision kPrecisions[] = {Precision::float32, Precision::tf32, Precision::bfloat16,
                                     Precision::float16};

const FamilyDevice kHost{kHopper};

TEST_SUITE("cuda/token-learner-v10") {
  TEST_CASE("odd sizes in every precision, the sum and the mean") {
    for (const Precision precision : kPrecisions) {
      check_v10(kHost, {.batch = 2, .channels = 24, .height = 5, .width = 7}, precision);
      check_v10(kHost, {.batch = 2, .channels = 40, .height = 7, .width = 7, .tokens = 5}, precision, true);
      check_v10(kHost, {.batch = 3, .channels = 33, .height = 1, .width = 2, .tokens = 1}, precision);
    }
  }

  TEST_CASE("every order of x, every activation, many tokens") {
    for (const Layout layout : {Layout::channels_last, Layout::padded}) {
      check_v10(kHost, {.batch = 2, .channels = 37, .height = 5, .width = 8, .layout = layout},
                Precision::float32);
    }
    for (const Activation activation : {Activation::none, Activation::gelu_erf})
      check_v10(kHost, {.channels = 12, .height = 6, .width = 8, .activation = activation},
                Precision::float32);
    check_v10(kHost, {.channels = 9, .height = 5, .width = 8, .tokens = 17}, Precision::float32);
  }

  TEST_CASE("several segments of pixels") {
    for (const bool takes_mean : {false, true}) {
      check_v10(kHost, {.channels = 13, .height = 27, .width = 42, .tokens = 5}, Precision::float32,
                takes_mean);
    }
  }

  TEST_CASE("tokens first") {
    const V10Problem problem({.batch = 2, .channels = 6, .height = 3, .width = 4, .tokens = 3},
                             DType::float32);
    const RawResult a = run_v10(kHost, problem, Precision::float32);
    const RawResult b = run_v10(kHost, problem, Precision::float32, {.tokens_first = true});
    const std::vector<double> first = ::test::decode(a.tokens, DType::float32, 36),
                              second = ::test::decode(b.tokens, DType::float32, 36);
    for (std::size_t i = 0; i < 36; ++i) CHECK(first[i] == second[i / 18 * 18 + i % 3 * 6 + i % 18 / 3]);
  }

  TEST_CASE("arguments that it cannot compute") {
    const V10Problem problem({.channels = 4}, DType::float32);
    TokenLearnerV10View view = problem.view();
    CudaTokenLearnerV10 packed;
    alignas(1024) static char buffer[128 * 1024];
    const auto pack = [&](std::size_t bytes) {
      return cuda_pack_token_learner_v10(view, Precision::float32, buffer, bytes, &packed, nullptr);
    };
    CHECK(pack(cuda_token_learner_v10_bytes(view, Precision::float32) - 1) == Status::invalid_argument);
    view.tokens = 70'000;
    CHECK(pack(sizeof buffer) == Status::unsupported);
    view.tokens = 8;
    REQUIRE(pack(sizeof buffer) == Status::ok);
    float tokens[32];
    ForwardParams params = problem.images().images().params(tokens, nullptr);
    const NormPlan plan = plan_v10({1, 4, 0, 8, 1}, Precision::float32, kHopper);
    alignas(1024) static char workspace[1024];
    const auto forward = [&](std::size_t bytes) {
      return cuda_v10_forward(params, packed, plan, workspace, bytes, nullptr);
    };
    CHECK(forward(0) == Status::invalid_argument);
    CHECK(forward(sizeof workspace) == Status::ok);
    params.dtype = DType::float64;
    CHECK(forward(sizeof workspace) == Status::unsupported);
    params.dtype = DType::float32;
    params.batch = 0;
    CHECK(forward(0) == Status::ok);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
