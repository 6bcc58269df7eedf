// Which images and plans verify a set of kernels, what that takes, and how results compare.
#include "kernels/cuda/verification.hpp"

#include <doctest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cuda/plan.hpp"
#include "stringify.hpp"
#include "workloads.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

constexpr Precision kPrecisions[] = {Precision::float32, Precision::tf32, Precision::bfloat16,
                                     Precision::float16};
constexpr Variant kVariants[] = {Variant::simt, Variant::small, Variant::mma, Variant::wgmma};
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

CudaShape shape_of(const Verification& verification, const CudaShape& layer) {
  CudaShape shape = layer;
  shape.batch = verification.batch;
  shape.pixels = verification.height * verification.width;
  return shape;
}

/** Every hidden row of every token is in one slice. */
void check_slices(const Verification& verification, const CudaShape& shape) {
  std::vector<std::int64_t> next(static_cast<std::size_t>(shape.tokens), 0);
  for (const WeightSlice& slice : verification.slices) {
    CHECK((slice.tokens == 1 || slice.hidden == shape.hidden));
    for (std::int64_t token = slice.first_token; token < slice.first_token + slice.tokens; ++token) {
      CHECK(next.at(static_cast<std::size_t>(token)) == slice.first_hidden);
      next.at(static_cast<std::size_t>(token)) += slice.hidden;
    }
  }
  CHECK(std::all_of(next.begin(), next.end(), [&](std::int64_t end) { return end == shape.hidden; }));
}

void for_each_kernel(const std::function<void(Precision, Variant, bool)>& check) {
  for (const Precision precision : kPrecisions) {
    for (const Variant variant : kVariants) {
      for (const bool segmented : {false, true}) {
        CAPTURE(precision);
        CAPTURE(variant);
        CAPTURE(segmented);
        check(precision, variant, segmented);
      }
    }
  }
}

std::int64_t passes(const Verification& verification, const Plan& plan) {
  return (verification.batch + plan.images_per_pass - 1) / plan.images_per_pass;
}

bool has_plan(const Verification& verification, const std::function<bool(const Plan&)>& wanted) {
  return std::any_of(verification.plans.begin(), verification.plans.end(), wanted);
}

/** One plan for each answer, as floats in maps. */
Verdict verdict(const std::vector<std::vector<float>>& answers, const std::vector<float>& exact) {
  std::vector<Answer> results;
  for (const std::vector<float>& maps : answers) results.push_back({maps, {1.0f}});
  return judge(results, {exact, {1.0f}}, 0.01);
}

TEST_SUITE("cuda/verification") {
  TEST_CASE("workloads: 64 MB hold three images and the documented computation") {
    for (const Workload& workload : kWorkloads) {
      CAPTURE(std::string(workload.name));
      for_each_kernel([&](Precision precision, Variant variant, bool segmented) {
        const Verification verification = plan_verification(workload.shape, precision, variant, segmented);
        CHECK(verification.bytes <= kVerificationBytes);
        CHECK(verification.batch == 3);
        CHECK(verification.height * verification.width == (segmented ? 1056 : 299));
        CHECK(verification.image_rows == verification.height);
        check_slices(verification, workload.shape);
        for (const Plan& plan : verification.plans) CHECK(plan.workspace_bytes <= verification.bytes);
      });
    }
  }

  TEST_CASE("large layers: smaller images or fewer, and one token's rows in several slices") {
    const CudaShape shape{1, 2048, 16384, 8, 196};
    for_each_kernel([&](Precision precision, Variant variant, bool segmented) {
      const Verification verification = plan_verification(shape, precision, variant, segmented);
      CHECK(verification.bytes <= kVerificationBytes);
      CHECK(verification.slices.size() > 8);
      CHECK(verification.slices.size() <= 8 * 256);
      check_slices(verification, shape);
      CHECK(verification.batch <= 3);
      CHECK(verification.batch >= (segmented ? 1 : 3));
      CHECK(verification.height * verification.width <= (segmented ? 1056 : 299));
      CHECK((has_pixel_segments(shape_of(verification, shape)) || !segmented));
      CHECK(verification.image_rows <= verification.height);
    });
  }

  TEST_CASE("gigantic layers: the least images, and less than the packed weights") {
    const CudaShape shape{1, 1 << 20, 1 << 16, 128, 196};
    for (const bool segmented : {false, true}) {
      const Verification verification = plan_verification(shape, Precision::float32, Variant::mma, segmented);
      CHECK(verification.batch == (segmented ? 1 : 3));
      CHECK(verification.height * verification.width == (segmented ? 1056 : 1));
      CHECK(verification.image_rows == 1);
      CHECK(verification.bytes < packed_weights_bytes(shape, Precision::float32, Variant::mma) / 1000);
    }
  }

  TEST_CASE("the hidden rows are whole, in halves and in small parts, in one pass and in several") {
    const CudaShape shape{1, 64, 1100, 8, 196};  // 9 tiles of 128
    const Verification verification = plan_verification(shape, Precision::bfloat16, Variant::mma, false);
    for (const std::int64_t count : {1, 2}) {
      CAPTURE(count);
      const auto with_splits = [&](int splits) {
        return has_plan(verification, [&](const Plan& plan) {
          return plan.splits == splits && passes(verification, plan) == count;
        });
      };
      CHECK(with_splits(1));
      CHECK(with_splits(2));
      CHECK(with_splits(9));
    }
    for (const Plan& plan : verification.plans) {
      const std::int64_t each = tiles_per_split(plan, shape.hidden);
      CHECK(each * plan.splits >= 9);
      CHECK(each * (plan.splits - 1) < 9);
    }
  }

  TEST_CASE("simt and a single tile are never split") {
    for (const Plan& plan :
         plan_verification({1, 3, 1100, 8, 49}, Precision::float32, Variant::simt, false).plans)
      CHECK(plan.splits == 1);
    for (const Plan& plan :
         plan_verification({1, 64, 128, 8, 49}, Precision::tf32, Variant::mma, false).plans)
      CHECK(plan.splits == 1);
  }

  TEST_CASE("all plans have the same bits, and the error is within the bound") {
    CHECK(verdict({{1.0f, 2.0f}, {1.0f, 2.0f}}, {1.0f, 2.001f}) == Verdict::agrees);
    CHECK(verdict({{1.0f, 2.0f}, {1.0f, 2.0000002f}}, {1.0f, 2.0f}) == Verdict::plans_differ);
    CHECK(verdict({{1.0f, 2.0f}, {1.0f, 2.0f}}, {1.0f, 2.1f}) == Verdict::exact_differs);
  }

  TEST_CASE("tokens count as maps do") {
    const Answer exact{{1.0f}, {1.0f}};
    const Answer wrong[] = {{{1.0f}, {2.0f}}};
    CHECK(judge(wrong, exact, 0.01) == Verdict::exact_differs);
    const Answer different[] = {exact, {{1.0f}, {2.0f}}};
    CHECK(judge(different, exact, 0.01) == Verdict::plans_differ);
  }

  TEST_CASE("NaN and infinity agree with each other, and with no finite number") {
    CHECK(verdict({{1.0f, kNan}, {1.0f, -kNan}}, {1.0f, kNan}) == Verdict::agrees);
    CHECK(verdict({{1.0f, kNan}}, {1.0f, -kInfinity}) == Verdict::agrees);
    CHECK(verdict({{1.0f, kInfinity}}, {1.0f, kNan}) == Verdict::agrees);
    CHECK(verdict({{1.0f, kNan}}, {1.0f, 2.0f}) == Verdict::exact_differs);
    CHECK(verdict({{1.0f, 2.0f}}, {1.0f, kNan}) == Verdict::exact_differs);
    CHECK(verdict({{2.0f, kNan}}, {1.0f, kNan}) == Verdict::exact_differs);
    CHECK(verdict({{1.0f, kNan}, {1.0f, kInfinity}}, {1.0f, kNan}) == Verdict::plans_differ);
  }

  TEST_CASE("an answer with a NaN or an infinity says so") {
    CHECK_FALSE(has_non_finite({{1.0f}, {2.0f}}));
    CHECK(has_non_finite({{kNan}, {2.0f}}));
    CHECK(has_non_finite({{1.0f}, {kInfinity}}));
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
