// TokenLearner v1.1's CUDA kernels on the host machine: the numbers of the equations, and the same bits however they run.
#include <doctest.h>

#include <cmath>
#include <cstring>

#include "family-device.hpp"
#include "host-forward.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

using ::test::Layout;
using ::test::RawResult;
using ::test::Result;
using ::test::V11Case;
using ::test::V11Problem;

constexpr Precision kPrecisions[] = {Precision::float32, Precision::tf32, Precision::bfloat16,
                                     Precision::float16};

const FamilyDevice kHost{kHopper};

void check_all(const V11Case& config) {
  for (const Precision precision : kPrecisions) check_v11(kHost, config, precision);
}

TEST_SUITE("cuda/token-learner-v11") {
  TEST_CASE("odd sizes in every precision") {
    check_all({.batch = 2, .channels = 24, .height = 5, .width = 7});
    check_all({.channels = 129, .height = 7, .width = 7, .tokens = 5, .hidden = 33});
    check_all({.batch = 3, .channels = 3, .height = 1, .width = 2, .tokens = 1, .hidden = 1});
    check_all({.batch = 2, .channels = 1, .height = 3, .width = 11, .tokens = 3, .hidden = 65});
  }

  TEST_CASE("every order of x") {
    for (const Layout layout : {Layout::channels_first, Layout::channels_last, Layout::padded}) {
      check_v11(kHost, {.batch = 2, .channels = 40, .height = 5, .width = 8, .layout = layout},
                Precision::float32);
      check_v11(kHost, {.batch = 2, .channels = 37, .height = 3, .width = 7, .layout = layout},
                Precision::bfloat16);
    }
  }

  TEST_CASE("the order of x changes no bit") {
    for (const Precision precision : kPrecisions) {
      V11Case config{.batch = 2, .channels = 21, .height = 5, .width = 9, .tokens = 3, .hidden = 9};
      const V11Problem first(config, element_dtype(precision));
      config.layout = Layout::channels_last;
      V11Problem last(config, element_dtype(precision));
      const std::size_t item = item_size(element_dtype(precision));
      for (std::int64_t b = 0; b < 2; ++b) {
        for (std::int64_t c = 0; c < 21; ++c) {
          for (std::int64_t p = 0; p < 45; ++p) {
            const auto* from = static_cast<const char*>(first.images().params(nullptr, nullptr).x);
            std::memcpy(last.images().x().data() +
                            static_cast<std::size_t>(last.images().at(b, c, p / 9, p % 9)) * item,
                        from + static_cast<std::size_t>(first.images().at(b, c, p / 9, p % 9)) * item, item);
          }
        }
      }
      ::test::check_same(run_v11(kHost, first, precision), run_v11(kHost, last, precision));
    }
  }

  TEST_CASE("many tokens, many hidden rows, every activation") {
    check_v11(kHost, {.channels = 9, .height = 5, .width = 8, .tokens = 70, .hidden = 20},
              Precision::float32);
    check_v11(kHost, {.channels = 40, .height = 5, .width = 8, .tokens = 17, .hidden = 200}, Precision::tf32);
    for (const Activation activation : {Activation::none, Activation::gelu_tanh, Activation::gelu_erf})
      check_v11(kHost, {.channels = 12, .height = 5, .width = 8, .activation = activation},
                Precision::float32);
  }

  TEST_CASE("several tiles in a share") {
    CHECK_FALSE(has_tiles_in_shares(1024));
    CHECK(has_tiles_in_shares(1025));
    check_v11(kHost, {.batch = 2, .channels = 5, .height = 27, .width = 42, .tokens = 3, .hidden = 6},
              Precision::float32);
    check_v11(kHost, {.channels = 5, .height = 45, .width = 47, .tokens = 3, .hidden = 6},
              Precision::bfloat16);
  }

  TEST_CASE("a common offset costs the maps nothing") {
    check_v11(kHost, {.channels = 129, .height = 9, .width = 9, .offset = 100}, Precision::float32);
    const V11Problem problem({.channels = 129, .height = 9, .width = 9, .offset = 100}, DType::float32);
    const Result ours = decoded(problem, Precision::float32, run_v11(kHost, problem, Precision::float32));
    CHECK(::test::relative_error(ours.attention, problem.reference().attention) <=
          ::test::bar(DType::float32));
  }

  TEST_CASE("the token of one pixel is that pixel") {
    for (const Precision precision : kPrecisions) {
      const V11Problem problem({.batch = 2, .channels = 77, .offset = 100}, element_dtype(precision));
      const RawResult raw = run_v11(kHost, problem, precision, {.tokens_first = true});
      const std::size_t image = 77 * item_size(element_dtype(precision));
      const auto* x = static_cast<const char*>(problem.images().params(nullptr, nullptr).x);
      for (std::size_t b = 0; b < 2; ++b) {
        for (std::size_t g = 0; g < 8; ++g)
          CHECK(std::memcmp(raw.tokens.data() + (b * 8 + g) * image, x + b * image, image) == 0);
      }
    }
  }

  TEST_CASE("NaN and infinity reach all tokens of their image, and no other image") {
    for (const float special : {NAN, INFINITY, -INFINITY}) {
      V11Problem problem({.batch = 2, .channels = 9, .height = 4, .width = 5}, DType::float32);
      reinterpret_cast<float*>(problem.images().x().data())[9 * 20 + 3] = special;
      const Result result = decoded(problem, Precision::float32, run_v11(kHost, problem, Precision::float32));
      for (std::size_t i = 0; i < result.tokens.size(); ++i)
        CHECK(std::isnan(result.tokens[i]) == (i >= result.tokens.size() / 2));
    }
  }

  TEST_CASE("devices with less shared memory read x again") {
    const CudaShape shape{32, 768, 64, 8, 196};
    CHECK(plan_v11(shape, Precision::float32, kHopper).resident);
    CHECK(plan_v11(shape, Precision::float32, {8, 0, 108, 163 * 1024}).resident);
    CHECK_FALSE(plan_v11(shape, Precision::float32, {8, 6, 84, 99 * 1024}).resident);
    CHECK(plan_v11(shape, Precision::bfloat16, {8, 6, 84, 99 * 1024}).resident);
  }

  TEST_CASE("a large batch has several passes, and a workspace of some megabytes") {
    const NormPlan plan = plan_v11({100'000, 768, 64, 8, 1024}, Precision::float32, kHopper);
    CHECK(plan.images_per_pass >= 1);
    CHECK(plan.workspace_bytes <= 48u << 20);
    CHECK(plan_v11({100'000, 4, 4, 1, 1}, Precision::float32, kHopper).images_per_pass == 65535);
  }

  TEST_CASE("arguments that it cannot compute") {
    const V11Problem problem({.channels = 4}, DType::float32);
    NormMlpView view = problem.view().mlp;
    CudaNormMlp packed;
    alignas(1024) static char buffer[64 * 1024];
    const auto pack = [&](std::size_t bytes = sizeof buffer, Precision precision = Precision::float32) {
      return cuda_pack_norm_mlp(view, precision, buffer, bytes, &packed, nullptr);
    };
    CHECK(pack(1024) == Status::invalid_argument);
    CHECK(pack(sizeof buffer, Precision::bfloat16) == Status::invalid_argument);
    view.groups = 2;
    CHECK(pack() == Status::unsupported);
    view.groups = 1;
    view.hidden = std::int64_t{1} << 31;
    CHECK(pack() == Status::unsupported);
    view.hidden = 64;
    REQUIRE(pack() == Status::ok);
    float tokens[32];
    ForwardParams params = problem.images().params(tokens, nullptr);
    NormPlan plan = plan_v11({1, 4, 64, 8, 1}, Precision::float32, kHopper);
    const auto forward = [&] { return cuda_v11_forward(params, packed, plan, buffer, 0, nullptr); };
    CHECK(forward() == Status::invalid_argument);
    params.dtype = DType::float64;
    CHECK(forward() == Status::unsupported);
    params.dtype = DType::float16;
    CHECK(forward() == Status::invalid_argument);
    params.dtype = DType::float32;
    params.height = 0;
    CHECK(forward() == Status::invalid_argument);
    params.height = 1;
    params.batch = 0;
    CHECK(forward() == Status::ok);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
