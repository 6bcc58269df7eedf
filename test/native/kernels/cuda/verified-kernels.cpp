// The engine's verification of the kernels, with its own images, plans and comparison, on the host machine
// and against the oracle. See Note [Trust, but verify] in engine/token-learner/fused-cuda.cpp.
#include <doctest.h>

#include <string>
#include <vector>

#include "host-forward.hpp"
#include "kernels/cuda/verification.hpp"
#include "stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

doctest::String toString(Verdict verdict) {
  return verdict == Verdict::agrees         ? "agrees"
         : verdict == Verdict::plans_differ ? "the plans differ"
                                            : "differs from the oracle";
}

Answer answer_of(const std::vector<double>& maps, const std::vector<double>& tokens) {
  return {{maps.begin(), maps.end()}, {tokens.begin(), tokens.end()}};
}

/** Three tiles of 128 hidden rows. */
void check_kernels(Precision precision, Variant variant, Layout layout, bool segmented,
                   std::int64_t channels = 40) {
  const CudaShape shape{1, channels, 300, 1, 1};
  const Verification verification = plan_verification(shape, precision, variant, segmented);
  const Size size{verification.batch,  channels,          shape.hidden, shape.tokens,
                  verification.height, verification.width};
  const Problem problem(size, element_dtype(precision), layout, 11);
  std::vector<Answer> answers;
  for (const Plan& plan : verification.plans) {
    const Result result = run_forward(problem, precision, variant, plan);
    answers.push_back(answer_of(result.attention, result.tokens));
  }
  const Answer exact = answer_of(problem.attention(), problem.tokens());
  CHECK(toString(judge(answers, exact, verification_bound(precision))) == toString(Verdict::agrees));
}

TEST_SUITE("cuda/verified-kernels") {
  TEST_CASE("simt, float32") {
    check_kernels(Precision::float32, Variant::simt, Layout::channels_first, false, 5);
    check_kernels(Precision::float32, Variant::simt, Layout::channels_last, true, 5);
  }
  TEST_CASE("small, float32") {
    check_kernels(Precision::float32, Variant::small, Layout::channels_first, false);
  }
  TEST_CASE("small, bfloat16, channels last") {
    check_kernels(Precision::bfloat16, Variant::small, Layout::channels_last, false);
  }
  TEST_CASE("mma, float32, channels last") {
    check_kernels(Precision::float32, Variant::mma, Layout::channels_last, false);
  }
  TEST_CASE("mma, float16, several segments") {
    check_kernels(Precision::float16, Variant::mma, Layout::channels_first, true);
  }
  TEST_CASE("wgmma, tf32") { check_kernels(Precision::tf32, Variant::wgmma, Layout::channels_first, false); }
  TEST_CASE("wgmma, bfloat16, channels last, several segments") {
    check_kernels(Precision::bfloat16, Variant::wgmma, Layout::channels_last, true);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
