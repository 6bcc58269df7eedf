// The wgmma instructions. Their 64 or 128 accumulators are written out one by one, since inline assembly has
// no arrays.
#pragma once

#include <cstdint>

#include "kernels/cuda/tiling.hpp"

namespace tokenlearner::kernels::cuda {

#define TOKENLEARNER_REGISTERS_64                                                         \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, " \
  "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, " \
  "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, " \
  "%53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

#define TOKENLEARNER_REGISTERS_128                                                        \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, " \
  "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, " \
  "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, " \
  "%53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, %64, %65, %66, %67, %68, %69, " \
  "%70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, %83, %84, %85, %86, " \
  "%87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, %100, %101, %102, "   \
  "%103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, %115, %116, "  \
  "%117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

#define TOKENLEARNER_SUMS_4(i) "+f"(sums[i]), "+f"(sums[i + 1]), "+f"(sums[i + 2]), "+f"(sums[i + 3])
#define TOKENLEARNER_SUMS_16(i) \
  TOKENLEARNER_SUMS_4(i), TOKENLEARNER_SUMS_4(i + 4), TOKENLEARNER_SUMS_4(i + 8), TOKENLEARNER_SUMS_4(i + 12)
#define TOKENLEARNER_SUMS_64(i)                                                        \
  TOKENLEARNER_SUMS_16(i), TOKENLEARNER_SUMS_16(i + 16), TOKENLEARNER_SUMS_16(i + 32), \
      TOKENLEARNER_SUMS_16(i + 48)

/**
 * D = A B^T, plus D if `accumulate` is 1. D is 64 x kColumns, in registers. A and B are in shared memory,
 * with contiguous rows.
 */
template <MmaKind kKind, int kColumns>
struct WgmmaInstruction;

// `a`, `b`, `flag`: the positions of the descriptors and the flag among the operands. `tail`: the scales of A
// and B; for the 16-bit types also that neither is transposed.
#define TOKENLEARNER_WGMMA(kind, columns, shape_and_types, registers, a, b, flag, tail, ...)             \
  template <>                                                                                            \
  struct WgmmaInstruction<kind, columns> {                                                               \
    __device__ __forceinline__ static void issue(float (&sums)[columns / 2], std::uint64_t a_descriptor, \
                                                 std::uint64_t b_descriptor, int accumulate) {           \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " flag                                              \
                   ", 0;\nwgmma.mma_async.sync.aligned." shape_and_types " {" registers "}, " a ", " b   \
                   ", p, " tail ";\n}\n"                                                                 \
                   : __VA_ARGS__                                                                         \
                   : "l"(a_descriptor), "l"(b_descriptor), "r"(accumulate));                             \
    }                                                                                                    \
  };

#define TOKENLEARNER_WGMMA_128(kind, shape_and_types, tail)                                            \
  TOKENLEARNER_WGMMA(kind, 128, shape_and_types, TOKENLEARNER_REGISTERS_64, "%64", "%65", "%66", tail, \
                     TOKENLEARNER_SUMS_64(0))
#define TOKENLEARNER_WGMMA_256(kind, shape_and_types, tail)                                                \
  TOKENLEARNER_WGMMA(kind, 256, shape_and_types, TOKENLEARNER_REGISTERS_128, "%128", "%129", "%130", tail, \
                     TOKENLEARNER_SUMS_64(0), TOKENLEARNER_SUMS_64(64))

TOKENLEARNER_WGMMA_128(MmaKind::bfloat16, "m64n128k16.f32.bf16.bf16", "1, 1, 0, 0")
TOKENLEARNER_WGMMA_256(MmaKind::bfloat16, "m64n256k16.f32.bf16.bf16", "1, 1, 0, 0")
TOKENLEARNER_WGMMA_128(MmaKind::float16, "m64n128k16.f32.f16.f16", "1, 1, 0, 0")
TOKENLEARNER_WGMMA_256(MmaKind::float16, "m64n256k16.f32.f16.f16", "1, 1, 0, 0")
TOKENLEARNER_WGMMA_128(MmaKind::tf32, "m64n128k8.f32.tf32.tf32", "1, 1")
TOKENLEARNER_WGMMA_256(MmaKind::tf32, "m64n256k8.f32.tf32.tf32", "1, 1")

#undef TOKENLEARNER_WGMMA_256
#undef TOKENLEARNER_WGMMA_128
#undef TOKENLEARNER_WGMMA
#undef TOKENLEARNER_SUMS_64
#undef TOKENLEARNER_SUMS_16
#undef TOKENLEARNER_SUMS_4
#undef TOKENLEARNER_REGISTERS_128
#undef TOKENLEARNER_REGISTERS_64

}  // namespace tokenlearner::kernels::cuda
