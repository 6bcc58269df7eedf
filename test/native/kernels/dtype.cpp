// The 16-bit conversions, exhaustively.
#include "support.hpp"

namespace {

using namespace test;

double half_value(unsigned bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const double mantissa = bits & 0x3ff;
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
  return sign * (exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25));
}

void check_half() {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const auto half = Half{static_cast<std::uint16_t>(bits)};
    const auto value = static_cast<double>(widen(half));
    const double expected = half_value(bits);
    if (std::isnan(expected)) {
      CHECK(std::isnan(value) && std::isnan(widen(narrow<Half>(widen(half)))), "half %04x", bits);
      continue;
    }
    CHECK(value == expected && std::signbit(value) == std::signbit(expected), "half %04x: %g", bits, value);
    CHECK(narrow<Half>(widen(half)).bits == bits, "half %04x does not come back", bits);
  }
}

/** Between neighbours: below the middle down, above it up, at it to the even one. */
template <typename Stored>
void check_rounding(unsigned infinity) {
  for (unsigned bits = 0; bits + 1 < infinity; ++bits) {
    const auto low = static_cast<double>(widen(Stored{static_cast<std::uint16_t>(bits)}));
    const auto high = static_cast<double>(widen(Stored{static_cast<std::uint16_t>(bits + 1)}));
    const auto middle = static_cast<float>((low + high) / 2);
    if (static_cast<double>(middle) != (low + high) / 2) continue;
    CHECK(narrow<Stored>(middle).bits == bits + (bits & 1), "middle above %04x", bits);
    CHECK(narrow<Stored>(std::nextafter(middle, 0.0f)).bits == bits, "below the middle above %04x", bits);
    CHECK(narrow<Stored>(std::nextafter(middle, INFINITY)).bits == bits + 1, "above the middle above %04x",
          bits);
  }
}

}  // namespace

int main() {
  check_half();
  check_rounding<Half>(0x7c00);
  check_rounding<BFloat16>(0x7f80);
  CHECK(narrow<Half>(65519.0f).bits == 0x7bff && narrow<Half>(65520.0f).bits == 0x7c00, "half's largest");
  CHECK(narrow<BFloat16>(3.4e38f).bits == 0x7f80, "bfloat16 rounds to infinity");
  CHECK(std::isnan(widen(narrow<BFloat16>(NAN))), "bfloat16 NaN");
  return finish();
}
