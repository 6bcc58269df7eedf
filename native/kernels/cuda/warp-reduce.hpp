// Sums over the lanes of a warp.
#pragma once

#include "kernels/cuda/portable.hpp"

namespace tokenlearner::kernels::cuda {

/** The steps of reduce_to_lanes from kWidth on. Lanes kWidth apart exchange sums: each keeps kWidth of them. */
template <int kWidth, int kSums, class Machine>
TOKENLEARNER_KERNEL_BODY void exchange_sums(Machine& machine, int lane, float (&sums)[kSums]) {
  const bool upper = (lane & kWidth) != 0;
  TOKENLEARNER_UNROLL
  for (int i = 0; i < kWidth; ++i) {
    const float kept = upper ? sums[i + kWidth] : sums[i];
    const float sent = upper ? sums[i] : sums[i + kWidth];
    sums[i] = kept + machine.shuffle_xor(sent, kWidth);
  }
  // A recursion, not a loop: the compiler must know every index to keep the sums in registers.
  if constexpr (kWidth > 1) exchange_sums<kWidth / 2>(machine, lane, sums);
}

/**
 * Adds up each of `sums` over the warp's lanes. Lane i gets the total of sums[i % kSums]. Every step halves
 * the number of sums of a lane, so 32 sums take 31 shuffles, not 160. The order of the additions is fixed.
 */
template <int kSums, class Machine>
TOKENLEARNER_KERNEL_BODY float reduce_to_lanes(Machine& machine, int lane, float (&sums)[kSums]) {
  static_assert(kSums == 2 || kSums == 4 || kSums == 8 || kSums == 16 || kSums == 32);
  exchange_sums<kSums / 2>(machine, lane, sums);
  TOKENLEARNER_UNROLL
  for (int width = kSums; width < 32; width *= 2) sums[0] += machine.shuffle_xor(sums[0], width);
  return sums[0];
}

}  // namespace tokenlearner::kernels::cuda
