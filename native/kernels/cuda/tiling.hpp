// The memory layout of matrices for the tensor cores, and the modes in which they are computed.
//
// Note: [Tile images]
// Both operands of the first product have the reduction (channels) along their rows. Before the product they
// are packed into blocks of 64 rows by 128 bytes of channels. Each block has exactly the order that it will
// have in shared memory: unit u (16 bytes) of row r is at unit u ^ (r % 8). This is the 128-byte swizzle:
// ldmatrix reads it without bank conflicts, and wgmma's descriptors support it. So loading a tile is a copy
// of contiguous bytes, by cp.async or by one bulk copy, with no tensor map, no driver call and no predicate.
// The packing pads channels, hidden rows and pixels with zeros. A hidden row of zeros with w2 = 0 adds
// nothing.
//
// Blocks of the pixels:  [pixel / 64][chunk][plane]; the images' pixels are one sequence, n = image * P +
// pixel. Blocks of W1:          [group][hidden row / 64][chunk][plane].
//
// A chunk is 128 bytes of channels: 64 channels in the 16-bit modes, 32 in tf32. float32 has two planes: the
// high and the low parts.
#pragma once

#include "kernels/cuda/gelu.hpp"
#include "kernels/cuda/portable.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner::kernels::cuda {

inline constexpr int kBlockRows = 64;
inline constexpr int kRowBytes = 128;
inline constexpr int kUnitBytes = 16;
inline constexpr int kBlockBytes = kBlockRows * kRowBytes;
/** The bytes of a row that one matrix instruction reduces over: 16 channels of 2 bytes or 8 of 4. */
inline constexpr int kStepBytes = 32;
inline constexpr int kStepsPerChunk = kRowBytes / kStepBytes;
/** K is padded to a multiple of this. */
inline constexpr int kHiddenGranule = 128;

/** The offset in bytes, within a block, of byte `byte` of row `row`. */
TOKENLEARNER_PORTABLE constexpr std::uint32_t swizzled_offset(int row, int byte) {
  const int unit = (byte / kUnitBytes) ^ (row % 8);
  return static_cast<std::uint32_t>(row * kRowBytes + unit * kUnitBytes + byte % kUnitBytes);
}

TOKENLEARNER_PORTABLE constexpr int element_bytes(Precision precision) {
  return precision == Precision::bfloat16 || precision == Precision::float16 ? 2 : 4;
}

/** The dtype of x, the weights and the tokens. */
TOKENLEARNER_PORTABLE constexpr DType element_dtype(Precision precision) {
  return precision == Precision::bfloat16  ? DType::bfloat16
         : precision == Precision::float16 ? DType::float16
                                           : DType::float32;
}

TOKENLEARNER_PORTABLE constexpr int planes_of(Precision precision) {
  return precision == Precision::float32 ? 2 : 1;
}

TOKENLEARNER_PORTABLE constexpr int channels_per_chunk(Precision precision) {
  return kRowBytes / element_bytes(precision);
}

TOKENLEARNER_PORTABLE constexpr GeluForm gelu_form(Precision precision) {
  return precision == Precision::float32   ? GeluForm::accurate
         : precision == Precision::tf32    ? GeluForm::fine
         : precision == Precision::float16 ? GeluForm::medium
                                           : GeluForm::coarse;
}

/** The matrix instruction's operand type. */
enum class MmaKind { bfloat16, float16, tf32 };

TOKENLEARNER_PORTABLE constexpr MmaKind mma_kind(Precision precision) {
  return precision == Precision::bfloat16  ? MmaKind::bfloat16
         : precision == Precision::float16 ? MmaKind::float16
                                           : MmaKind::tf32;
}

}  // namespace tokenlearner::kernels::cuda
