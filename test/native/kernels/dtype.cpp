// The 16-bit conversions, over every value.
#include "kernels/dtype.hpp"

#include <doctest.h>

#include <cmath>
#include <cstdint>

#include "stringify.hpp"

namespace {

using namespace tokenlearner::kernels;

double half_value(unsigned bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const double mantissa = bits & 0x3ff;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

/** Between neighbours: below the middle down, above it up, at it to the even one. */
template <typename Stored>
void check_rounding(unsigned infinity) {
  for (unsigned bits = 0; bits + 1 < infinity; ++bits) {
    INFO("between ", hex(bits), " and ", hex(bits + 1));
    const auto low = static_cast<double>(widen(Stored{static_cast<std::uint16_t>(bits)}));
    const auto high = static_cast<double>(widen(Stored{static_cast<std::uint16_t>(bits + 1)}));
    const auto middle = static_cast<float>((low + high) / 2);
    if (static_cast<double>(middle) != (low + high) / 2) continue;
    CHECK(narrow<Stored>(middle).bits == bits + (bits & 1));
    CHECK(narrow<Stored>(std::nextafter(middle, 0.0f)).bits == bits);
    CHECK(narrow<Stored>(std::nextafter(middle, INFINITY)).bits == bits + 1);
  }
}

}  // namespace

TEST_SUITE("kernels/dtype") {
  TEST_CASE("every half widens to its value and comes back") {
    for (unsigned bits = 0; bits < 0x10000; ++bits) {
      INFO("half ", hex(bits));
      const auto half = Half{static_cast<std::uint16_t>(bits)};
      const auto value = static_cast<double>(widen(half));
      const double expected = half_value(bits);
      if (std::isnan(expected)) {
        CHECK(std::isnan(value));
        CHECK(std::isnan(widen(narrow<Half>(widen(half)))));
        continue;
      }
      CHECK(value == expected);
      CHECK(std::signbit(value) == std::signbit(expected));
      CHECK(narrow<Half>(widen(half)).bits == bits);
    }
  }

  TEST_CASE("half rounds to the nearest, ties to even") { check_rounding<Half>(0x7c00); }

  TEST_CASE("bfloat16 rounds to the nearest, ties to even") { check_rounding<BFloat16>(0x7f80); }

  TEST_CASE("too large a value rounds to infinity") {
    CHECK(narrow<Half>(65519.0f).bits == 0x7bff);
    CHECK(narrow<Half>(65520.0f).bits == 0x7c00);
    CHECK(narrow<BFloat16>(3.4e38f).bits == 0x7f80);
  }

  TEST_CASE("bfloat16 keeps NaN") { CHECK(std::isnan(widen(narrow<BFloat16>(NAN)))); }
}
