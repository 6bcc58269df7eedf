// Tile images and fragments: ldmatrix, mma and wgmma read the packed numbers, without bank conflicts.
#include "kernels/cuda/tiling.hpp"

#include <doctest.h>

#include <array>
#include <cstring>
#include <set>
#include <vector>

#include "host-block.hpp"
#include "kernels/cuda/warp-tile.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

constexpr int kBanks = 32;

/** ldmatrix reads eight 16-byte rows at a time: together they must touch every bank once. */
void check_banks(MatrixLane (*lane_of)(int)) {
  for (int step = 0; step < kStepsPerChunk; ++step) {
    for (int matrix = 0; matrix < 4; ++matrix) {
      std::set<std::uint32_t> banks;
      for (int i = 0; i < 8; ++i) {
        const MatrixLane at = lane_of(matrix * 8 + i);
        const std::uint32_t offset = swizzled_offset(at.row, step * kStepBytes + at.byte);
        for (std::uint32_t word = 0; word < 4; ++word) banks.insert((offset / 4 + word) % kBanks);
      }
      CAPTURE(step);
      CAPTURE(matrix);
      CHECK(banks.size() == kBanks);
    }
  }
}

using Product = std::array<std::array<float, 16>, 16>;

/** The operands of a 16 x 16 product: small integers, so that every order of adding is exact. */
float a_at(int row, int k) { return static_cast<float>((row * 7 + k * 3) % 11 - 5); }
float b_at(int k, int column) { return static_cast<float>((column * 5 + k) % 7 - 3); }

template <MmaKind kKind>
constexpr int kPerWord = kKind == MmaKind::tf32 ? 1 : 2;
template <MmaKind kKind>
constexpr int kDepth = 8 * kPerWord<kKind>;

template <MmaKind kKind>
void store_operand(std::uint8_t* base, int row, int k, float value) {
  const std::uint32_t offset = swizzled_offset(row, k * 4 / kPerWord<kKind>);
  if (kKind == MmaKind::tf32) {
    std::memcpy(base + offset, &value, 4);
  } else {
    const std::uint16_t bits = kKind == MmaKind::bfloat16 ? float_to_bfloat16(value) : float_to_half(value);
    std::memcpy(base + offset, &bits, 2);
  }
}

/**
 * The product as one warp's mma computes it from swizzled tiles. Its threads are fibers with stacks of their
 * own: they only store, and the checks run on the test's stack.
 */
template <MmaKind kKind>
Product warp_product() {
  Product product;
  for (auto& row : product) row.fill(NAN);
  Block({}, {}, 32, 2 * kBlockBytes, Landing::at_once).run([&](HostMachine& machine) {
    if (machine.thread() == 0) {
      std::uint8_t* base = &machine.shared<std::uint8_t>(0);
      for (int k = 0; k < kDepth<kKind>; ++k) {
        for (int row = 0; row < 16; ++row) store_operand<kKind>(base, row, k, a_at(row, k));
        for (int column = 0; column < 16; ++column)
          store_operand<kKind>(base + kBlockBytes, column, k, b_at(k, column));
      }
    }
    machine.sync();
    const int lane = machine.thread();
    std::uint32_t pixels[4], hidden[4];
    const MatrixLane at = pixel_matrix_lane(lane);
    machine.load_matrices(pixels, swizzled_offset(at.row, at.byte));
    const MatrixLane from = hidden_matrix_lane(lane);
    machine.load_matrices(hidden, kBlockBytes + swizzled_offset(from.row, from.byte));
    for (int half = 0; half < 2; ++half) {
      float sums[4] = {};
      machine.multiply<kKind>(sums, pixels, hidden[2 * half], hidden[2 * half + 1]);
      for (int i = 0; i < 4; ++i) {
        const auto row = static_cast<std::size_t>(lane / 4 + i / 2 * 8);
        const auto column = static_cast<std::size_t>(half * 8 + lane % 4 * 2 + i % 2);
        product[row][column] = sums[i];
      }
    }
  });
  return product;
}

template <MmaKind kKind>
void check_fragments() {
  const Product product = warp_product<kKind>();
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 16; ++column) {
      CAPTURE(row);
      CAPTURE(column);
      float expected = 0.0f;
      for (int k = 0; k < kDepth<kKind>; ++k) expected += a_at(row, k) * b_at(k, column);
      CHECK(product[static_cast<std::size_t>(row)][static_cast<std::size_t>(column)] == expected);
    }
  }
}

TEST_SUITE("cuda/tiling") {
  TEST_CASE("the swizzle is one to one") {
    std::set<std::uint32_t> seen;
    for (int row = 0; row < kBlockRows; ++row) {
      for (int byte = 0; byte < kRowBytes; ++byte) seen.insert(swizzled_offset(row, byte));
    }
    CHECK(seen.size() == kBlockBytes);
    CHECK(*seen.rbegin() == kBlockBytes - 1);
  }

  TEST_CASE("the swizzle is the hardware's 128-byte swizzle: address bits 4 to 6 XOR bits 7 to 9") {
    for (int row = 0; row < kBlockRows; ++row) {
      for (int byte = 0; byte < kRowBytes; byte += 2) {
        CAPTURE(row);
        CAPTURE(byte);
        const auto linear = static_cast<std::uint32_t>(row * kRowBytes + byte);
        CHECK(swizzled_offset(row, byte) == (linear ^ ((linear >> 3) & 0x70u)));
      }
    }
  }

  TEST_CASE("ldmatrix reads pixels without bank conflicts") { check_banks(pixel_matrix_lane); }

  TEST_CASE("ldmatrix reads hidden rows without bank conflicts") { check_banks(hidden_matrix_lane); }

  TEST_CASE("bfloat16: mma of the fragments is the product") { check_fragments<MmaKind::bfloat16>(); }

  TEST_CASE("float16: mma of the fragments is the product") { check_fragments<MmaKind::float16>(); }

  TEST_CASE("tf32: mma of the fragments is the product") { check_fragments<MmaKind::tf32>(); }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
