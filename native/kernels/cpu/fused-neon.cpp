// NEON, the baseline of arm64: 16-byte vectors and fused multiply-add. Of 32 registers 8 x 3 are accumulators,
// 3 hold pixels and 2 hold the weights of 8 rows (4 for double), which `fmla` takes lane by lane.
#define TOKENLEARNER_ISA_NAMESPACE neon
#define TOKENLEARNER_VECTOR_BYTES 16

namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE {
namespace {
constexpr int kRows = 8;
constexpr int kVectors = 3;
}  // namespace
}  // namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE

#include "kernels/cpu/fused-kernels-impl.hpp"

namespace tokenlearner::kernels {

const IsaKernels& neon_kernels() {
  static const IsaKernels kernels = neon::make_kernels();
  return kernels;
}

}  // namespace tokenlearner::kernels
