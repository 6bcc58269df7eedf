// L of a tile of pixels, after the first product of norm-rows-body.hpp: the activation and the second product, with the hidden
// layer in shared memory. TokenLearner v1.1 and TokenFuser share it.
#pragma once

#include "kernels/cuda/exponential.hpp"
#include "kernels/cuda/norm-rows-body.hpp"

namespace tokenlearner::kernels::cuda {

/** The elements of a pixel's L in shared memory: whole groups of 8 tokens, and 4 against bank conflicts. */
TOKENLEARNER_PORTABLE constexpr int logits_stride(int tokens) { return round_up(tokens, 8) + 4; }

/** Bytes of L of a tile. */
constexpr std::size_t logits_bytes(int tokens) {
  return static_cast<std::size_t>(kNormPixels * logits_stride(tokens)) * 4;
}

/** L of some tokens for the pixels of a tile, in shared memory. */
template <class Rows, class Machine>
struct Logits {
  Machine& machine;
  Rows& rows;
  const MlpArgs& mlp;
  /** In shared memory. */
  std::uint32_t offset;
  int first_token, tokens;

  /** L, or what the kernel makes of it. Each warp owns every kNormWarps-th token; its lanes are the pixels. */
  TOKENLEARNER_KERNEL_BODY float& at(int pixel, int token) const {
    return machine.template shared<float>(offset + place(pixel, token));
  }
  /** Tokens `token` to `token` + 3, a multiple of 4. */
  TOKENLEARNER_KERNEL_BODY const Float4& four(int pixel, int token) const {
    return machine.template shared<Float4>(offset + place(pixel, token));
  }

  /** Each thread then sees its own values. */
  TOKENLEARNER_KERNEL_BODY void compute() {
    for (int tile = 0; tile < rows.args.row_tiles; ++tile) {
      const float* bias = mlp.first_bias + tile * kNormRows;
      rows.product(tile, [&](int row, float sum) { return activated(mlp.activation, sum + bias[row]); });
      add(tile);
    }
  }

 private:
  TOKENLEARNER_KERNEL_BODY std::uint32_t place(int pixel, int token) const {
    return static_cast<std::uint32_t>((pixel * logits_stride(tokens) + token) * 4);
  }

  /** The second product with a tile of hidden rows. */
  TOKENLEARNER_KERNEL_BODY void add(int tile) {
    const std::int64_t stride = static_cast<std::int64_t>(rows.args.row_tiles) * kNormRows;
    for (int token = rows.warp; token < tokens; token += kNormWarps) {
      const float* weight = mlp.second_weight + (first_token + token) * stride + tile * kNormRows;
      float& stored = at(rows.lane, token);
      Float4 sum{0.0f, 0.0f, 0.0f, 0.0f};
      TOKENLEARNER_UNROLL_BY_4
      for (int row = 0; row < kNormRows; row += 4) {
        const Float4 w = *reinterpret_cast<const Float4*>(weight + row);
        sum.x = fmaf(w.x, rows.hidden(rows.lane, row), sum.x);
        sum.y = fmaf(w.y, rows.hidden(rows.lane, row + 1), sum.y);
        sum.z = fmaf(w.z, rows.hidden(rows.lane, row + 2), sum.z);
        sum.w = fmaf(w.w, rows.hidden(rows.lane, row + 3), sum.w);
      }
      const float before = tile == 0 ? mlp.second_bias[first_token + token] : stored;
      stored = ((sum.x + sum.y) + (sum.z + sum.w)) + before;
    }
  }
};

}  // namespace tokenlearner::kernels::cuda
