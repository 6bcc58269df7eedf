// TokenFuser's CUDA kernels on the host machine: the numbers of the equations, and the same bits however they run.
#include <doctest.h>

#include "fuser-device.hpp"
#include "host-forward.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

using ::test::FuserProblem;
using ::test::Layout;
using ::test::RawResult;
using ::test::V11Case;

constexpr Precision kPrecisions[] = {Precision::float32, Precision::tf32, Precision::bfloat16,
                                     Precision::float16};

const FamilyDevice kHost{kHopper};

TEST_SUITE("cuda/token-fuser") {
  TEST_CASE("odd sizes in every precision") {
    for (const Precision precision : kPrecisions) {
      check_fuser(kHost, {.batch = 2, .channels = 24, .height = 5, .width = 7}, precision);
      check_fuser(kHost, {.batch = 3, .channels = 24, .height = 5, .width = 7}, precision, false);
      check_fuser(kHost, {.channels = 129, .height = 7, .width = 7, .tokens = 5, .hidden = 33}, precision);
      check_fuser(kHost, {.batch = 2, .channels = 40, .height = 1, .width = 2, .tokens = 1, .hidden = 1},
                  precision);
    }
  }

  TEST_CASE("every order of the original, many tokens, many hidden rows, the exact GELU") {
    for (const Layout layout : {Layout::channels_last, Layout::padded}) {
      check_fuser(kHost, {.batch = 2, .channels = 37, .height = 5, .width = 8, .layout = layout},
                  Precision::float32);
    }
    check_fuser(kHost, {.channels = 9, .height = 5, .width = 8, .tokens = 70, .hidden = 20},
                Precision::float32);
    check_fuser(kHost,
                {.channels = 300,
                 .height = 3,
                 .width = 3,
                 .tokens = 17,
                 .hidden = 200,
                 .activation = Activation::gelu_erf},
                Precision::float32);
  }

  TEST_CASE("a common offset of the original costs the weights nothing") {
    const FuserProblem problem({.channels = 129, .height = 9, .width = 9, .offset = 100}, DType::float32);
    const RawResult raw = run_fuser(kHost, problem, Precision::float32);
    CHECK(::test::relative_error(::test::decode(raw.attention, DType::float32, problem.attention_count()),
                                 problem.reference().attention) <= ::test::bar(DType::float32));
  }

  TEST_CASE("arguments that it cannot compute") {
    const FuserProblem problem({.channels = 4}, DType::float32);
    TokenFuserView view = problem.view();
    CudaTokenFuser packed;
    alignas(1024) static char buffer[64 * 1024];
    const auto pack = [&](std::size_t bytes) {
      return cuda_pack_token_fuser(view, Precision::float32, buffer, bytes, &packed, nullptr);
    };
    CHECK(pack(cuda_token_fuser_bytes(view, Precision::float32) - 1) == Status::invalid_argument);
    REQUIRE(pack(sizeof buffer) == Status::ok);
    alignas(1024) static char workspace[1024];
    float out[4], *const no_output = nullptr;
    TokenFuserParams params = problem.params(out, nullptr, false);
    const NormPlan plan = plan_token_fuser({1, 4, 64, 8, 1}, Precision::float32, kHopper);
    const auto forward = [&] {
      return cuda_token_fuser_forward(params, packed, plan, workspace, plan.workspace_bytes, nullptr);
    };
    params.out = no_output;
    CHECK(forward() == Status::invalid_argument);
    params.out = out;
    packed.mlp.tokens = 5000;
    CHECK(forward() == Status::unsupported);
    packed.mlp.tokens = 8;
    params.dtype = DType::float64;
    CHECK(forward() == Status::unsupported);
    params.dtype = DType::float32;
    CHECK(forward() == Status::ok);
    params.batch = 0;
    CHECK(forward() == Status::ok);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
