// GELU over the whole range of float32, every instruction set.
//
// Three limits. Error: Phi is a float near 1/2 or 1, so gelu cannot come closer than |x| times a few 2^-24.
// Tails: exactly -0 and exactly x. Signs: gelu of a negative is never above 0.
#include <doctest.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "kernels/cpu/fused-kernels.hpp"
#include "run.hpp"

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

/** Every float where Phi nears 0. */
std::vector<float> left_tail() {
  std::vector<float> values;
  for (auto bits = std::bit_cast<std::uint32_t>(-4.5f); bits <= std::bit_cast<std::uint32_t>(-6.0f); ++bits)
    values.push_back(std::bit_cast<float>(bits));
  return values;
}

}  // namespace

TEST_SUITE("kernels/gelu") {
  TEST_CASE("the error is two units in the last place of Phi at most") {
    for_each_isa([](Isa isa) {
      const std::vector<float> in = all_floats(1999);
      const std::vector<float> out = run(isa, in);
      double worst = 0;
      float worst_at = 0;
      for (std::size_t i = 0; i < in.size(); ++i) {
        const double x = in[i];
        // Below the normal range every result is a multiple of 2^-149, and 2^-149 of error is unavoidable.
        const double error = std::max(0.0, std::fabs(static_cast<double>(out[i]) - exact_gelu(x)) - 0x1p-149);
        const double phi_error = x == 0 ? error : error / std::fabs(x);
        if (!(phi_error <= worst)) worst = phi_error, worst_at = in[i];
      }
      CAPTURE(worst_at);
      CHECK(worst <= kPhiBar);
    });
  }

  TEST_CASE("the tails are exactly x and exactly -0") {
    for_each_isa([](Isa isa) {
      for (const float x : {5.6f, 6.0f, 13.5f, 1e4f, 1e30f, std::numeric_limits<float>::max()}) {
        CAPTURE(x);
        const std::vector<float> out = run(isa, {x, -x});
        // A difference, since failed checks print 6 digits only.
        CHECK(out[0] - x == 0);
        CHECK(out[1] == 0);
        CHECK(std::signbit(out[1]));
      }
    });
  }

  TEST_CASE("gelu of a negative is never above 0") {
    for_each_isa([](Isa isa) {
      const std::vector<float> out = run(isa, left_tail());
      CHECK(*std::max_element(out.begin(), out.end()) <= 0);
    });
  }

  TEST_CASE("zeros, infinities, NaN and subnormals") {
    for_each_isa([](Isa isa) {
      const float infinity = std::numeric_limits<float>::infinity();
      const float tiny = std::numeric_limits<float>::denorm_min() * 1000;
      const std::vector<float> out = run(isa, {0.0f, -0.0f, infinity, -infinity, NAN, -NAN, tiny, -tiny});
      CHECK(out[0] == 0);
      CHECK_FALSE(std::signbit(out[0]));
      CHECK(out[1] == 0);
      CHECK(std::signbit(out[1]));
      CHECK(out[2] == infinity);
      // x * 0.5 * (1 + erf(x / sqrt 2)) is NaN at -infinity.
      CHECK(std::isnan(out[3]));
      CHECK(std::isnan(out[4]));
      CHECK(std::isnan(out[5]));
      CHECK(out[6] == tiny / 2);
      CHECK(out[7] == -tiny / 2);
    });
  }

  TEST_CASE("float64 is exact to a few units in the last place") {
    for_each_isa([](Isa isa) {
      std::vector<double> in;
      for (double x = -40; x <= 40; x += 1.0 / 64) in.push_back(x);
      std::vector<double> out(in.size());
      kernels_of(isa).float64.gelu(in.data(), out.data(), static_cast<std::int64_t>(in.size()));
      for (std::size_t i = 0; i < in.size(); ++i) {
        CAPTURE(in[i]);
        CHECK(std::fabs(out[i] - exact_gelu(in[i])) <= std::fabs(in[i]) * 0x1p-51);
      }
    });
  }
}
