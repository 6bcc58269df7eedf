// AVX-512 (F, DQ, BW, VL) and F16C.
#define TOKENLEARNER_ISA_NAMESPACE avx512

#include "kernels/cpu/convert-run-impl.hpp"

namespace tokenlearner::kernels {

const ConvertRuns& avx512_convert_runs() {
  static const ConvertRuns runs = avx512::make_convert_runs();
  return runs;
}

}  // namespace tokenlearner::kernels
