// The work of one warp on a chunk and on a finished tile: fragments from shared memory, mma.sync, and the
// epilogue.
//
// A warp owns 32 pixels (rows of D) by kHiddenPerWarp hidden rows (columns of D). A step of the reduction is
// 32 bytes of a row in every mode (16 channels of 2 bytes, 8 of 4). The fragments are the same bytes, so all
// modes share this code.
//
// Note: [Truncation]
// Tensor cores truncate when they add. So every addition to a sum shrinks it by half a unit in the last place
// on average. Over a long reduction that is more than float32's own rounding error. Therefore float32 sums
// only the three products of kStepsPerSum steps (low*high, high*low, high*high: small before large) on the
// tensor cores, starting from zero. An ordinary addition, rounded to nearest, adds the result to the running
// sum. With 4 steps instead of 2, the tests on their host Machine, which truncates after every instruction,
// exceed their tolerance.
#pragma once

#include "kernels/cuda/tiling.hpp"

namespace tokenlearner::kernels::cuda {

inline constexpr int kWarpPixels = 32;
/** See Note [Truncation]. */
inline constexpr int kStepsPerSum = 2;

/**
 * The row of an operand's 16, and the byte of a step, whose address a warp lane passes to ldmatrix.x4. For
 * pixels the row halves come first.
 */
struct MatrixLane {
  int row;
  int byte;
};
TOKENLEARNER_PORTABLE constexpr MatrixLane pixel_matrix_lane(int lane) {
  return {lane % 8 + (lane / 8 % 2) * 8, (lane / 16) * kUnitBytes};
}
/** For hidden rows (the columns of D) the byte halves come first. */
TOKENLEARNER_PORTABLE constexpr MatrixLane hidden_matrix_lane(int lane) {
  return {lane % 8 + (lane / 16) * 8, (lane / 8 % 2) * kUnitBytes};
}

/** `kPixelPlaneBytes`, `kHiddenPlaneBytes`: the distance in shared memory from a plane to the next one. */
template <Precision kPrecision, int kHiddenPerWarp, int kPixelPlaneBytes, int kHiddenPlaneBytes,
          class Machine>
struct WarpTile {
  static constexpr int kPlanes = planes_of(kPrecision);
  static constexpr int kPairs = kHiddenPerWarp / 16;
  static constexpr MmaKind kKind = mma_kind(kPrecision);
  /** [16 pixels][8 hidden rows][as mma's D]. */
  using Accumulators = float[2][2 * kPairs][4];

  Machine& machine;
  int lane;

  TOKENLEARNER_KERNEL_BODY static void clear(Accumulators& sums) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 2; ++i) {
      TOKENLEARNER_UNROLL
      for (int j = 0; j < 2 * kPairs; ++j) {
        TOKENLEARNER_UNROLL
        for (int k = 0; k < 4; ++k) sums[i][j][k] = 0.0f;
      }
    }
  }

  /**
   * `pixels` and `hidden` are offsets of row blocks. The warp starts at rows `first_pixel` and
   * `first_hidden`.
   */
  TOKENLEARNER_KERNEL_BODY void accumulate(Accumulators& sums, std::uint32_t pixels, int first_pixel,
                                           std::uint32_t hidden, int first_hidden) {
    if constexpr (kPlanes == 1) {
      multiply_steps<kStepsPerChunk>(sums, pixels, first_pixel, hidden, first_hidden, 0);
    } else {
      // If unrolled, the compiler would keep the addresses of all steps in registers. There are not enough.
      TOKENLEARNER_NO_UNROLL
      for (int step = 0; step < kStepsPerChunk; step += kStepsPerSum) {
        Accumulators part;
        clear(part);
        multiply_steps<kStepsPerSum>(part, pixels, first_pixel, hidden, first_hidden, step);
        add(sums, part);
      }
    }
  }

  /**
   * The same for the first or the second half of the chunk alone: two warps share a product. With two planes each step is a sum
   * of its own: see Note [Truncation].
   */
  TOKENLEARNER_KERNEL_BODY void accumulate_half(Accumulators& sums, std::uint32_t pixels, int first_pixel,
                                                std::uint32_t hidden, int first_hidden, int half) {
    constexpr int kSteps = kStepsPerChunk / 2;
    if constexpr (kPlanes == 1) {
      multiply_steps<kSteps>(sums, pixels, first_pixel, hidden, first_hidden, half * kSteps);
    } else {
      // Unrolled, it takes more registers.
      TOKENLEARNER_NO_UNROLL
      for (int step = half * kSteps; step < (half + 1) * kSteps; ++step) {
        Accumulators part;
        clear(part);
        multiply_steps<1>(part, pixels, first_pixel, hidden, first_hidden, step);
        add(sums, part);
      }
    }
  }

  /**
   * For rows [16 pixels][half], the sum of w2 gelu(h + b1) over the warp's hidden rows. All four warp lanes
   * of a quad get it. `vectors` is the offset of the warp's first pair of hidden rows in the tile's
   * bias_and_scale.
   */
  TOKENLEARNER_KERNEL_BODY void reduce(float (&tile_sums)[2][2], const Accumulators& sums,
                                       std::uint32_t vectors) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 4; ++i) tile_sums[i / 2][i % 2] = 0.0f;
    TOKENLEARNER_UNROLL
    for (int j = 0; j < 2 * kPairs; ++j) {
      const Float4 v =
          machine.template shared<Float4>(vectors + static_cast<std::uint32_t>(j * 4 + lane % 4) * 16);
      TOKENLEARNER_UNROLL
      for (int i = 0; i < 4; ++i) {
        constexpr GeluForm kForm = gelu_form(kPrecision);
        float& sum = tile_sums[i / 2][i % 2];
        sum = fmaf(v.z, gelu<kForm>(sums[i / 2][j][i % 2 * 2] + v.x), sum);
        sum = fmaf(v.w, gelu<kForm>(sums[i / 2][j][i % 2 * 2 + 1] + v.y), sum);
      }
    }
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 4; ++i) {
      float& sum = tile_sums[i / 2][i % 2];
      sum += machine.shuffle_xor(sum, 1);
      sum += machine.shuffle_xor(sum, 2);
    }
  }

  /** The pixel of the warp at row [i = 16 pixels][half] of this warp lane's quad. */
  TOKENLEARNER_KERNEL_BODY int pixel_row(int i, int half) const { return i * 16 + half * 8 + lane / 4; }

 private:
  TOKENLEARNER_KERNEL_BODY void load_pixels(std::uint32_t (&a)[2][4], std::uint32_t block, int first_row,
                                            int step) {
    const MatrixLane at = pixel_matrix_lane(lane);
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 2; ++i) {
      machine.load_matrices(
          a[i], block + swizzled_offset(first_row + i * 16 + at.row, step * kStepBytes + at.byte));
    }
  }

  TOKENLEARNER_KERNEL_BODY void load_hidden(std::uint32_t (&b)[4], std::uint32_t block, int first_row,
                                            int step) {
    const MatrixLane at = hidden_matrix_lane(lane);
    machine.load_matrices(b, block + swizzled_offset(first_row + at.row, step * kStepBytes + at.byte));
  }

  TOKENLEARNER_KERNEL_BODY void multiply(Accumulators& sums, const std::uint32_t (&a)[2][4],
                                         const std::uint32_t (&b)[4], int pair) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 2; ++i) {
      machine.template multiply<kKind>(sums[i][2 * pair], a[i], b[0], b[1]);
      machine.template multiply<kKind>(sums[i][2 * pair + 1], a[i], b[2], b[3]);
    }
  }

  TOKENLEARNER_KERNEL_BODY static void add(Accumulators& sums, const Accumulators& part) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < 2; ++i) {
      TOKENLEARNER_UNROLL
      for (int j = 0; j < 2 * kPairs; ++j) {
        TOKENLEARNER_UNROLL
        for (int k = 0; k < 4; ++k) sums[i][j][k] += part[i][j][k];
      }
    }
  }

  /** Multiplies all pairs of planes, small before large, except low*low: it is below float32's precision. */
  TOKENLEARNER_KERNEL_BODY void multiply_step(Accumulators& sums, const std::uint32_t (&a)[kPlanes][2][4],
                                              std::uint32_t hidden, int first_hidden, int step) {
    TOKENLEARNER_UNROLL
    for (int pair = 0; pair < kPairs; ++pair) {
      std::uint32_t b[kPlanes][4];
      TOKENLEARNER_UNROLL
      for (int plane = 0; plane < kPlanes; ++plane) {
        load_hidden(b[plane], hidden + plane * kHiddenPlaneBytes, first_hidden + pair * 16, step);
      }
      if constexpr (kPlanes == 2) {
        multiply(sums, a[1], b[0], pair);
        multiply(sums, a[0], b[1], pair);
      }
      multiply(sums, a[0], b[0], pair);
    }
  }

  template <int kSteps>
  TOKENLEARNER_KERNEL_BODY void multiply_steps(Accumulators& sums, std::uint32_t pixels, int first_pixel,
                                               std::uint32_t hidden, int first_hidden, int first_step) {
    TOKENLEARNER_UNROLL
    for (int i = 0; i < kSteps; ++i) {
      std::uint32_t a[kPlanes][2][4];
      TOKENLEARNER_UNROLL
      for (int plane = 0; plane < kPlanes; ++plane) {
        load_pixels(a[plane], pixels + plane * kPixelPlaneBytes, first_pixel, first_step + i);
      }
      multiply_step(sums, a, hidden, first_hidden, first_step + i);
    }
  }
};

}  // namespace tokenlearner::kernels::cuda
