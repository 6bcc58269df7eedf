// The portable conversions against those of the CPU kernels, and the properties of tf32 and of its split.
#include "kernels/cuda/numerics.hpp"

#include <doctest.h>

#include <cmath>
#include <random>

#include "../stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

bool same(float a, float b) { return bits_of(a) == bits_of(b); }

TEST_SUITE("cuda/numerics") {
  TEST_CASE("every 16-bit value widens as on the CPU") {
    for (std::uint32_t bits = 0; bits < 65536; ++bits) {
      INFO("bits ", hex(bits));
      const auto half = static_cast<std::uint16_t>(bits);
      CHECK(same(half_to_float(half), widen(Half{half})));
      CHECK(same(bfloat16_to_float(half), widen(BFloat16{half})));
    }
  }

  TEST_CASE("float32 narrows as on the CPU, and NaN to a NaN") {
    for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 4099) {
      const float value = float_of(static_cast<std::uint32_t>(bits));
      INFO("bits ", hex(bits_of(value)));
      if (std::isnan(value)) {
        // The payload is the CPU's only on the CPU: see Note [Conversions] in kernels/cpu/convert-run.hpp.
        CHECK(std::isnan(widen(Half{float_to_half(value)})));
        CHECK(std::isnan(widen(BFloat16{float_to_bfloat16(value)})));
        continue;
      }
      CHECK(float_to_half(value) == narrow<Half>(value).bits);
      CHECK(float_to_bfloat16(value) == narrow<BFloat16>(value).bits);
    }
  }

  TEST_CASE("tf32 rounds ties away from zero, and keeps infinity and NaN") {
    CHECK(round_to_tf32(1.0f + 0x1p-11f) == 1.0f + 0x1p-10f);
    CHECK(round_to_tf32(-1.0f - 0x1p-11f) == -1.0f - 0x1p-10f);
    CHECK(round_to_tf32(1.0f + 0x1.fp-12f) == 1.0f);
    CHECK(std::isinf(round_to_tf32(INFINITY)));
    CHECK(std::isnan(round_to_tf32(NAN)));
  }

  TEST_CASE("a split into two tf32 values loses 2^-22 at most") {
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    for (int i = 0; i < 1000000; ++i) {
      const float value = normal(generator) * std::exp2(static_cast<float>(i % 60 - 30));
      INFO("bits ", hex(bits_of(value)));
      float high, low;
      split_tf32(value, high, low);
      // A tf32 value has 13 zero bits at its end.
      CHECK((bits_of(high) & 0x1fffu) == 0);
      CHECK((bits_of(low) & 0x1fffu) == 0);
      const double lost = std::fabs(static_cast<double>(value) - high - low);
      CHECK(lost <= 0x1p-22 * std::fabs(value));
    }
  }

  TEST_CASE("a split of the largest float does not compute infinity - infinity") {
    float high, low;
    split_tf32(3.4028235e38f, high, low);
    CHECK(low == 0.0f);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
