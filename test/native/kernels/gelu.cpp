// GELU over the whole range of float32, every instruction set.
//
// Three bars, each in units of float32's rounding. Absolute: Phi is a float near 1/2 or 1, so gelu cannot be
// held closer than |x| times a few 2^-24. Tails: exactly -0 and exactly x. Everywhere monotone facts of the
// definition.
#include <algorithm>
#include <bit>
#include <limits>

#include "kernels/cpu/fused-kernels.hpp"
#include "support.hpp"

namespace {

using namespace test;

/** Double's own Phi from erfc, so that the left tail keeps its digits. */
double exact_gelu(double x) { return x * 0.5 * std::erfc(-x * std::sqrt(0.5)); }

std::vector<float> run(Isa isa, const std::vector<float>& in) {
  std::vector<float> out(in.size());
  kernels_of(isa).float32.gelu(in.data(), out.data(), static_cast<std::int64_t>(in.size()));
  return out;
}

/** Every `step`-th float, both signs, from 0 through the subnormals to the largest. */
std::vector<float> all_floats(std::uint32_t step) {
  std::vector<float> values;
  for (std::uint64_t bits = 0; bits < 0x7f800000u; bits += step) {
    values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits) | 0x80000000u));
  }
  return values;
}

/**
 * The largest |gelu - exact| / |x| that is allowed: two units in the last place of Phi below 1. Rounding the
 * fraction, its two sides and the sum costs that much; PyTorch's vectorised gelu reaches three (3.6e-7).
 */
constexpr double kPhiBar = 0x1p-22;

void check_error(Isa isa) {
  const std::vector<float> in = all_floats(1999);
  const std::vector<float> out = run(isa, in);
  double worst = 0;
  float worst_at = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const double x = in[i];
    // Below the normal range a result is a multiple of 2^-149 whatever one does.
    const double error = std::max(0.0, std::fabs(static_cast<double>(out[i]) - exact_gelu(x)) - 0x1p-149);
    const double phi_error = x == 0 ? error : error / std::fabs(x);
    if (!(phi_error <= worst)) worst = phi_error, worst_at = in[i];
  }
  std::printf("%-8s largest error of Phi %.3e at x = %.9g\n", name_of(isa), worst,
              static_cast<double>(worst_at));
  CHECK(worst <= kPhiBar, "%s: %.3e at %.9g", name_of(isa), worst, static_cast<double>(worst_at));
}

void check_tails(Isa isa) {
  const float largest = std::numeric_limits<float>::max();
  for (const float x : {5.6f, 6.0f, 13.5f, 1e4f, 1e30f, largest}) {
    const std::vector<float> out = run(isa, {x, -x});
    CHECK(out[0] == x, "%s: gelu(%g) = %g", name_of(isa), static_cast<double>(x),
          static_cast<double>(out[0]));
    CHECK(out[1] == 0 && std::signbit(out[1]), "%s: gelu(%g) = %g", name_of(isa), static_cast<double>(-x),
          static_cast<double>(out[1]));
  }
}

/** Every float where Phi nears 0: an error there must not turn it negative. */
void check_left_tail(Isa isa) {
  std::vector<float> in;
  for (auto bits = std::bit_cast<std::uint32_t>(-4.5f); bits <= std::bit_cast<std::uint32_t>(-6.0f); ++bits)
    in.push_back(std::bit_cast<float>(bits));
  const std::vector<float> out = run(isa, in);
  const float largest = *std::max_element(out.begin(), out.end());
  CHECK(largest <= 0, "%s: gelu of a negative is %g", name_of(isa), static_cast<double>(largest));
}

void check_special(Isa isa) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float tiny = std::numeric_limits<float>::denorm_min() * 1000;
  const std::vector<float> out = run(isa, {0.0f, -0.0f, infinity, -infinity, NAN, -NAN, tiny, -tiny});
  CHECK(out[0] == 0 && !std::signbit(out[0]), "%s: gelu(0)", name_of(isa));
  CHECK(out[1] == 0 && std::signbit(out[1]), "%s: gelu(-0)", name_of(isa));
  CHECK(out[2] == infinity, "%s: gelu(inf) = %g", name_of(isa), static_cast<double>(out[2]));
  CHECK(std::isnan(out[3]), "%s: gelu(-inf) = %g; x * 0.5 * (1 + erf(x / sqrt 2)) is NaN", name_of(isa),
        static_cast<double>(out[3]));
  CHECK(std::isnan(out[4]) && std::isnan(out[5]), "%s: gelu(NaN)", name_of(isa));
  CHECK(out[6] == tiny / 2 && out[7] == -tiny / 2, "%s: subnormals", name_of(isa));
}

void check_double(Isa isa) {
  std::vector<double> in, out;
  for (double x = -40; x <= 40; x += 1.0 / 64) in.push_back(x);
  out.resize(in.size());
  kernels_of(isa).float64.gelu(in.data(), out.data(), static_cast<std::int64_t>(in.size()));
  for (std::size_t i = 0; i < in.size(); ++i) {
    CHECK(std::fabs(out[i] - exact_gelu(in[i])) <= std::fabs(in[i]) * 0x1p-51, "%s: double %g", name_of(isa),
          in[i]);
  }
}

}  // namespace

int main() {
  for (const Isa isa : available_isas()) {
    check_error(isa);
    check_tails(isa);
    check_left_tail(isa);
    check_special(isa);
    check_double(isa);
  }
  return finish();
}
