// What the processor offers and the operating system saves.
#pragma once

namespace tokenlearner::kernels {

/** All false on processors other than x86-64. */
struct CpuFeatures {
  bool avx2 = false;
  bool fma = false;
  bool f16c = false;
  /** The subsets F, DQ, BW and VL. */
  bool avx512 = false;
  /**
   * AVX512_BF16 at a higher rate than float32: not on Intel's processors. On a Xeon with AMX an instruction takes 0.63 ns, against
   * 0.16 ns for the half as many multiply-adds of a float32 one.
   */
  bool fast_pair_products = false;
  /** AVX512_BF16 at any rate. */
  bool avx512_bf16 = false;
  /** AMX_TILE and AMX_BF16. The operating system must still permit them: enable_tiles(). */
  bool amx_bf16 = false;
};

/** Asked once. */
const CpuFeatures& cpu_features();

/** Asks the system for the tile registers of AMX, once for the process. False without AMX_BF16, or if it refuses. Any thread. */
bool enable_tiles();

}  // namespace tokenlearner::kernels
