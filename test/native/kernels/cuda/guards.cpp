#include "guards.hpp"

#include <doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/cuda/numerics.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

/** A block at that address with data of zeros. */
struct Block {
  Block(std::uintptr_t base, std::size_t bytes) : place(guarded_block(base, bytes)), content(place.total, 0) {
    write_guards(place, content.data());
  }
  std::string damage() const { return find_damage(place, content.data()); }
  GuardedBlock place;
  std::vector<std::uint8_t> content;
};

TEST_SUITE("cuda/guards") {
  TEST_CASE("the data is aligned and has a guard on each side, at any address") {
    for (const std::uintptr_t base : {0, 256, 512, 768, 1024, 4096 + 256}) {
      for (const std::size_t bytes : {0, 2, 1000, 1024, 5000}) {
        const GuardedBlock block = guarded_block(base, bytes);
        CHECK((base + block.data) % kBufferAlignment == 0);
        CHECK(block.data >= kGuardBytes);
        CHECK(block.total - block.data - block.bytes >= kGuardBytes);
      }
    }
  }

  TEST_CASE("writes inside the data are no damage") {
    Block block(256, 100);
    CHECK(block.damage() == "");
    for (std::size_t i = 0; i < 100; ++i) block.content[block.place.data + i] = 0xee;
    CHECK(block.damage() == "");
  }

  TEST_CASE("one byte outside the data is found, with its distance") {
    for (const std::size_t bytes : {0, 2, 1022, 1024}) {
      CAPTURE(bytes);
      Block block(512, bytes);
      const std::size_t end = block.place.data + bytes;
      block.content.back() ^= 1;
      const std::string last = std::to_string(block.place.total - 1 - end);
      CHECK(block.damage() == "byte " + last + " behind the end was overwritten");
      block.content[end] = 0;
      CHECK(block.damage() == "byte 0 behind the end was overwritten");
      Block front(512, bytes);
      front.content[0] = 0;
      CHECK(front.damage() ==
            "byte " + std::to_string(front.place.data) + " before the start was overwritten");
      front.content[front.place.data - 1] = 0;
      CHECK(front.damage() == "byte 1 before the start was overwritten");
    }
  }

  TEST_CASE("the values that kernels write are damage") {
    // Zero, one, all ones, and each format's usual NaN.
    for (const std::uint32_t word :
         {0u, 0x3f800000u, 0x3f803f80u, 0xffffffffu, 0x7fffffffu, 0x7fc00000u, 0x7fc07fc0u}) {
      CAPTURE(word);
      Block block(0, 64);
      store_element(block.content.data() + block.place.data + 64, DType::float32, 0, float_of(word));
      CHECK(block.damage() != "");
    }
  }

  TEST_CASE("a read outside the data is NaN in every type") {
    const Block block(0, 2);
    for (std::size_t at = block.place.data + 2; at + 4 <= block.place.total; at += 2) {
      for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16}) {
        std::uint32_t word = 0;
        std::memcpy(&word, block.content.data() + at, sizeof(word));
        REQUIRE(std::isnan(load_element(&word, dtype, 0)));
      }
    }
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
