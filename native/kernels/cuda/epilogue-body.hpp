// Bias, GELU and the dot product with w2, on a hidden layer that another library's product has written to
// memory. It is fastest while the hidden layer is still in the L2 cache. For each column, four threads divide
// a group's hidden rows among themselves. Their sums are added in order.
#pragma once

#include "kernels/cuda/gelu.hpp"
#include "kernels/cuda/kernel-args.hpp"
#include "kernels/cuda/numerics.hpp"

namespace tokenlearner::kernels::cuda {

inline constexpr int kEpilogueColumns = 64;
inline constexpr int kEpilogueLanes = 4;
inline constexpr int kEpilogueThreads = kEpilogueColumns * kEpilogueLanes;
inline constexpr int kEpilogueSharedBytes = kEpilogueThreads * 4;

/** Grid: (ceil(columns / kEpilogueColumns), groups). */
template <GeluForm kForm, class Machine>
TOKENLEARNER_KERNEL_BODY void epilogue_body(Machine& machine, const EpilogueArgs& args) {
  const int group = machine.block_y();
  const int lane = machine.thread() / kEpilogueColumns;
  const std::int64_t column =
      static_cast<std::int64_t>(machine.block_x()) * kEpilogueColumns + machine.thread() % kEpilogueColumns;
  const int each = ceil_div(args.hidden_per_group, kEpilogueLanes);
  const int last = min_of(args.hidden_per_group, (lane + 1) * each);
  float sum = 0.0f;
  if (column < args.columns) {
    TOKENLEARNER_UNROLL_BY_4
    for (int k = lane * each; k < last; ++k) {
      const std::int64_t row = static_cast<std::int64_t>(group) * args.hidden_per_group + k;
      const float h = load_element(args.hidden, args.dtype, row * args.row_stride + column) +
                      load_element(args.bias, args.weights_dtype, row);
      sum = fmaf(load_element(args.scale, args.weights_dtype, row), gelu<kForm>(h), sum);
    }
  }
  machine.template shared<float>(static_cast<std::uint32_t>(machine.thread()) * 4) = sum;
  machine.sync();
  if (lane != 0 || column >= args.columns) return;
  for (int i = 1; i < kEpilogueLanes; ++i) {
    sum += machine.template shared<float>(
        static_cast<std::uint32_t>(i * kEpilogueColumns + machine.thread()) * 4);
  }
  args.attention[group * args.attention_group_stride + column] =
      sum + load_element(args.token_bias, args.weights_dtype, group);
}

}  // namespace tokenlearner::kernels::cuda
