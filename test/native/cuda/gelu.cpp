// Each GELU form over the whole float32 range: its error is what gelu.hpp says, tails and special values
// included.
#include "kernels/cuda/gelu.hpp"

#include <cmath>
#include <limits>

#include "check.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

double exact_gelu(double h) { return 0.5 * h * std::erfc(-h * std::sqrt(0.5)); }

/** The table in gelu.hpp. */
constexpr double kMostError[] = {1.0e-7, 1.2e-7, 6.7e-6, 5.7e-5};

template <GeluForm kForm>
void check_form(const char* name) {
  double worst = 0.0;
  // Every 331st bit pattern: 13 million floats, in all binades.
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 331) {
    const float h = float_of(static_cast<std::uint32_t>(bits));
    if (!std::isfinite(h)) continue;
    const double expected = exact_gelu(h);
    const double error = std::fabs(static_cast<double>(gelu<kForm>(h)) - expected);
    // Where gelu(h) is h, rounding to float32 is all that may happen.
    const double relative = error / std::fmax(1.0, std::fabs(expected));
    worst = std::fmax(worst, relative);
  }
  std::printf("%-9s largest error %.2e\n", name, worst);
  CHECK(worst <= kMostError[static_cast<int>(kForm)], "%s: %g", name, worst);

  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  CHECK(gelu<kForm>(kInfinity) == kInfinity, "%s", name);
  CHECK(std::fabs(gelu<kForm>(-kInfinity)) < 2e-5f, "%s", name);
  CHECK(std::isnan(gelu<kForm>(std::numeric_limits<float>::quiet_NaN())), "%s", name);
  CHECK(gelu<kForm>(0.0f) == 0.0f, "%s", name);
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test

int main() {
  using namespace tokenlearner::kernels::cuda;
  test::check_form<GeluForm::accurate>("accurate");
  test::check_form<GeluForm::fine>("fine");
  test::check_form<GeluForm::medium>("medium");
  test::check_form<GeluForm::coarse>("coarse");
  return test::failures();
}
