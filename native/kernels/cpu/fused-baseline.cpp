// The baseline of the architecture: 16-byte vectors, and no fused multiply-add on x86-64.
#define TOKENLEARNER_ISA_NAMESPACE baseline
#define TOKENLEARNER_VECTOR_BYTES 16

namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE {
namespace {
constexpr int kRows = 4;
constexpr int kVectors = 2;
}  // namespace
}  // namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE

#include "kernels/cpu/fused-kernels-impl.hpp"

namespace tokenlearner::kernels {

const IsaKernels& baseline_kernels() {
  static const IsaKernels kernels = baseline::make_kernels();
  return kernels;
}

}  // namespace tokenlearner::kernels
