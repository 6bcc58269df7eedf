// Conversions of adjacent elements, as plain function pointers. convert-run-<isa>.cpp fills them in.
#pragma once

#include <cstdint>

#include "kernels/dtype.hpp"

namespace tokenlearner::kernels {

// Note: [Conversions]
// Every conversion gives the numbers of libtorch's aten::_to_copy on x86-64, on every processor:
//   - To float16 and bfloat16 the value is first rounded to float32 and then again, each time to nearest with
//     ties to even. So float64 and int64 are rounded twice.
//   - Floating point to integer truncates. To int32 and int64, NaN and values outside the range give the
//     smallest integer. To uint8 it gives the low 8 bits of that int64.
//   - Between integers the low bits are kept.
//   - To bool, everything except zero is true. A bool in memory may have any byte: all but 0 are true, and the
//     copy has 1.
//   - NaN stays NaN. To float16 it keeps its sign and upper bits. To bfloat16 it becomes 0x7fc0. libtorch's
//     own bits of a NaN depend on its position in memory for some pairs (float16 to float32, float64 to
//     bfloat16), so they are not matched.

/** target[i] = source[i] for `count` elements. The two do not overlap. See Note [Conversions]. */
using ConvertRun = void (*)(const void* source, void* target, std::int64_t count);

/** The conversions of one instruction set. */
struct ConvertRuns {
  static constexpr int kTypes = 8;

  /** By index_of(source), index_of(target). */
  ConvertRun runs[kTypes][kTypes];

  ConvertRun of(DType source, DType target) const { return runs[index_of(source)][index_of(target)]; }

  /** Precondition: a DType. */
  TOKENLEARNER_ALWAYS_INLINE static constexpr int index_of(DType dtype) {
    switch (dtype) {
      case DType::uint8:
        return 0;
      case DType::int32:
        return 1;
      case DType::int64:
        return 2;
      case DType::float16:
        return 3;
      case DType::float32:
        return 4;
      case DType::float64:
        return 5;
      case DType::boolean:
        return 6;
      case DType::bfloat16:
        return 7;
    }
    return 0;
  }
};

/** The fastest ones for this processor. All give the same bits. */
const ConvertRuns& best_convert_runs();

/** All that this processor can run, for tests. The last of them are the fastest. */
int available_convert_runs(const ConvertRuns* (&out)[3]);

const ConvertRuns& baseline_convert_runs();
const ConvertRuns& avx2_convert_runs();
const ConvertRuns& avx512_convert_runs();

}  // namespace tokenlearner::kernels
