// AVX2 and F16C.
#define TOKENLEARNER_ISA_NAMESPACE avx2

#include "kernels/cpu/convert-run-impl.hpp"

namespace tokenlearner::kernels {

const ConvertRuns& avx2_convert_runs() {
  static const ConvertRuns runs = avx2::make_convert_runs();
  return runs;
}

}  // namespace tokenlearner::kernels
