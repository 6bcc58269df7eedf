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
};

/** Asked once. */
const CpuFeatures& cpu_features();

}  // namespace tokenlearner::kernels
