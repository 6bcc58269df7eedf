// The baseline of the architecture.
#define TOKENLEARNER_ISA_NAMESPACE baseline

#include "kernels/cpu/convert-run-impl.hpp"

namespace tokenlearner::kernels {

const ConvertRuns& baseline_convert_runs() {
  static const ConvertRuns runs = baseline::make_convert_runs();
  return runs;
}

}  // namespace tokenlearner::kernels
