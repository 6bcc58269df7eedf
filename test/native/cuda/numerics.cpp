// The portable conversions against those of the CPU kernels, and the properties of tf32 and of its split.
#include "kernels/cuda/numerics.hpp"

#include <cmath>
#include <random>

#include "check.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

bool same(float a, float b) { return bits_of(a) == bits_of(b); }

void check_widening() {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    CHECK(same(half_to_float(half), widen(Half{half})), "half %x", bits);
    CHECK(same(bfloat16_to_float(half), widen(BFloat16{half})), "bfloat16 %x", bits);
  }
}

void check_narrowing() {
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 4099) {
    const float value = float_of(static_cast<std::uint32_t>(bits));
    CHECK(float_to_half(value) == narrow<Half>(value).bits, "%x", bits_of(value));
    CHECK(float_to_bfloat16(value) == narrow<BFloat16>(value).bits, "%x", bits_of(value));
  }
}

void check_tf32() {
  CHECK(round_to_tf32(1.0f + 0x1p-11f) == 1.0f + 0x1p-10f, "a tie goes away from zero");
  CHECK(round_to_tf32(-1.0f - 0x1p-11f) == -1.0f - 0x1p-10f, "a tie goes away from zero");
  CHECK(round_to_tf32(1.0f + 0x1.fp-12f) == 1.0f, "below a tie goes down");
  CHECK(std::isinf(round_to_tf32(INFINITY)) && std::isnan(round_to_tf32(NAN)), "special values stay");
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 1000000; ++i) {
    const float value = normal(generator) * std::exp2(static_cast<float>(i % 60 - 30));
    float high, low;
    split_tf32(value, high, low);
    CHECK((bits_of(high) & 0x1fffu) == 0 && (bits_of(low) & 0x1fffu) == 0, "%a: not tf32",
          static_cast<double>(value));
    const double lost = std::fabs(static_cast<double>(value) - high - low);
    CHECK(lost <= 0x1p-22 * std::fabs(value), "%a: %g lost", static_cast<double>(value), lost);
  }
  float high, low;
  split_tf32(3.4028235e38f, high, low);
  CHECK(low == 0.0f, "no inf - inf");
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test

int main() {
  using namespace tokenlearner::kernels::cuda::test;
  check_widening();
  check_narrowing();
  check_tf32();
  return failures();
}
