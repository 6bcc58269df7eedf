#include "engine/memory/generator.hpp"

#include <doctest.h>

#include <cstdint>
#include <cstring>
#include <random>

using namespace tokenlearner;

TEST_SUITE_BEGIN("engine/generator");

namespace {

/// True if both generators give the same numbers from here on.
bool agree(Generator& a, Generator& b) {
  const Tensor first = Tensor::empty({700}, DType::float32), second = Tensor::empty({700}, DType::float32);
  // An odd number of draws in double sees the kept half of a pair too.
  const Tensor kept = Tensor::empty({1}, DType::float64), other = Tensor::empty({1}, DType::float64);
  a.normal(kept), a.uniform(first, 0, 1);
  b.normal(other), b.uniform(second, 0, 1);
  return std::memcmp(first.data(), second.data(), first.byte_length()) == 0 &&
         std::memcmp(kept.data(), other.data(), kept.byte_length()) == 0;
}

}  // namespace

TEST_CASE("the Mersenne Twister is that of the standard library") {
  for (const uint32_t seed : {0u, 1u, 5489u, 0xffffffffu}) {
    Mt19937 ours;
    std::mt19937 standard(seed);
    ours.seed(seed);
    for (int i = 0; i < 3000; ++i) REQUIRE(ours() == standard());
  }
}

TEST_CASE("discarding numbers is drawing them") {
  for (const uint64_t count : {0u, 1u, 623u, 624u, 625u, 1248u, 100'000u}) {
    for (const uint64_t before : {0u, 1u, 300u, 624u}) {
      Mt19937 ours;
      std::mt19937 standard(7);
      ours.seed(7);
      for (uint64_t i = 0; i < before; ++i) REQUIRE(ours() == standard());
      ours.discard(count);
      standard.discard(count);
      for (int i = 0; i < 1300; ++i) REQUIRE(ours() == standard());
    }
  }
}

TEST_CASE("skipping is drawing without the numbers") {
  for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
    const DType drawn_in = dtype == DType::float64 ? dtype : DType::float32;
    for (const int64_t count : {0, 1, 2, 15, 16, 17, 31, 32, 33, 1000}) {
      const Tensor drawn = Tensor::empty({count}, drawn_in);
      Generator draws(3), skips(3);
      draws.normal(drawn, dtype);
      skips.skip_normal(count, dtype);
      CHECK(agree(draws, skips));
      draws.uniform(drawn, 0, 1);
      skips.skip_uniform(count, dtype);
      CHECK(agree(draws, skips));
    }
  }
}
