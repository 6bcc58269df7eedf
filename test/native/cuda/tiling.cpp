// Tile images and fragments: what ldmatrix, mma and wgmma read is what was packed, without bank conflicts.
#include "kernels/cuda/tiling.hpp"

#include <set>
#include <vector>

#include "check.hpp"
#include "host-machine.hpp"
#include "kernels/cuda/warp-tile.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

constexpr int kBanks = 32;

void check_swizzle() {
  std::set<std::uint32_t> seen;
  for (int row = 0; row < kBlockRows; ++row) {
    for (int byte = 0; byte < kRowBytes; ++byte) seen.insert(swizzled_offset(row, byte));
  }
  CHECK(seen.size() == kBlockBytes && *seen.rbegin() == kBlockBytes - 1, "not one to one");
  // The hardware's 128-byte swizzle: address bits 4 to 6 XOR bits 7 to 9.
  for (int row = 0; row < kBlockRows; ++row) {
    for (int byte = 0; byte < kRowBytes; byte += 2) {
      const auto linear = static_cast<std::uint32_t>(row * kRowBytes + byte);
      CHECK(swizzled_offset(row, byte) == (linear ^ ((linear >> 3) & 0x70u)), "row %d byte %d", row, byte);
    }
  }
}

/** ldmatrix reads eight 16-byte rows at a time: together they must touch every bank once. */
void check_banks(MatrixLane (*lane_of)(int), const char* name) {
  for (int step = 0; step < kStepsPerChunk; ++step) {
    for (int matrix = 0; matrix < 4; ++matrix) {
      std::set<std::uint32_t> banks;
      for (int i = 0; i < 8; ++i) {
        const MatrixLane at = lane_of(matrix * 8 + i);
        const std::uint32_t offset = swizzled_offset(at.row, step * kStepBytes + at.byte);
        for (std::uint32_t word = 0; word < 4; ++word) banks.insert((offset / 4 + word) % kBanks);
      }
      CHECK(banks.size() == kBanks, "%s: step %d matrix %d: %zu banks", name, step, matrix, banks.size());
    }
  }
}

/** One warp's mma of a 16 x 8 product of small integers: exact, whatever the order. */
template <MmaKind kKind>
void check_fragments(const char* name) {
  constexpr int kPerWord = kKind == MmaKind::tf32 ? 1 : 2;
  constexpr int kDepth = 8 * kPerWord;
  const auto a = [](int row, int k) { return static_cast<float>((row * 7 + k * 3) % 11 - 5); };
  const auto b = [](int k, int column) { return static_cast<float>((column * 5 + k) % 7 - 3); };
  const auto store = [](std::uint8_t* base, int row, int k, float value) {
    const std::uint32_t offset = swizzled_offset(row, k * 4 / kPerWord);
    if (kKind == MmaKind::tf32) {
      std::memcpy(base + offset, &value, 4);
    } else {
      const std::uint16_t bits = kKind == MmaKind::bfloat16 ? float_to_bfloat16(value) : float_to_half(value);
      std::memcpy(base + offset, &bits, 2);
    }
  };
  Block({}, {}, 32, 2 * kBlockBytes).run([&](HostMachine& machine) {
    if (machine.thread() == 0) {
      std::uint8_t* base = &machine.shared<std::uint8_t>(0);
      for (int k = 0; k < kDepth; ++k) {
        for (int row = 0; row < 16; ++row) store(base, row, k, a(row, k));
        for (int column = 0; column < 16; ++column) store(base + kBlockBytes, column, k, b(k, column));
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
        const int row = lane / 4 + i / 2 * 8;
        const int column = half * 8 + lane % 4 * 2 + i % 2;
        float expected = 0.0f;
        for (int k = 0; k < kDepth; ++k) expected += a(row, k) * b(k, column);
        CHECK(sums[i] == expected, "%s: row %d column %d", name, row, column);
      }
    }
  });
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test

int main() {
  using namespace tokenlearner::kernels::cuda;
  test::check_swizzle();
  test::check_banks([](int lane) { return pixel_matrix_lane(lane); }, "pixels");
  test::check_banks([](int lane) { return hidden_matrix_lane(lane); }, "hidden rows");
  test::check_fragments<MmaKind::bfloat16>("bfloat16");
  test::check_fragments<MmaKind::float16>("float16");
  test::check_fragments<MmaKind::tf32>("tf32");
  return test::failures();
}
