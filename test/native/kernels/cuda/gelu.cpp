// Each GELU form over the whole float32 range, tails and special values included: its error is at most the
// one in gelu.hpp.
#include "kernels/cuda/gelu.hpp"

#include <doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>

namespace tokenlearner::kernels::cuda::test {
namespace {

double exact_gelu(double h) { return 0.5 * h * std::erfc(-h * std::sqrt(0.5)); }

/** The table in gelu.hpp. */
constexpr double kMostError[] = {1.0e-7, 1.2e-7, 6.7e-6, 5.7e-5};

template <GeluForm kForm>
double largest_error() {
  double worst = 0.0;
  // Every 331st bit pattern: 13 million floats, in all binades.
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 331) {
    const float h = float_of(static_cast<std::uint32_t>(bits));
    if (!std::isfinite(h)) continue;
    const double expected = exact_gelu(h);
    const double error = std::fabs(static_cast<double>(gelu<kForm>(h)) - expected);
    // Above 1 the error is relative: where gelu(h) is h, only rounding to float32 is allowed.
    worst = std::fmax(worst, error / std::fmax(1.0, std::fabs(expected)));
  }
  return worst;
}

template <GeluForm kForm>
void check_form() {
  CHECK(largest_error<kForm>() <= kMostError[static_cast<int>(kForm)]);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CHECK(gelu<kForm>(kInfinity) == kInfinity);
  CHECK(std::fabs(gelu<kForm>(-kInfinity)) < 2e-5f);
  CHECK(std::isnan(gelu<kForm>(std::numeric_limits<float>::quiet_NaN())));
  CHECK(gelu<kForm>(0.0f) == 0.0f);
}

TEST_SUITE("cuda/gelu") {
  TEST_CASE("accurate") { check_form<GeluForm::accurate>(); }
  TEST_CASE("fine") { check_form<GeluForm::fine>(); }
  TEST_CASE("medium") { check_form<GeluForm::medium>(); }
  TEST_CASE("coarse") { check_form<GeluForm::coarse>(); }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
