// AVX2 and FMA. Of 16 registers 4 x 3 are accumulators, 3 hold pixels and one holds a weight.
#define TOKENLEARNER_ISA_NAMESPACE avx2
#define TOKENLEARNER_VECTOR_BYTES 32

namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE {
namespace {
constexpr int kRows = 4;
constexpr int kVectors = 3;
}  // namespace
}  // namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE

#include "kernels/cpu/fused-kernels-impl.hpp"

namespace tokenlearner::kernels {

const IsaKernels& avx2_kernels() {
  static const IsaKernels kernels = avx2::make_kernels();
  return kernels;
}

}  // namespace tokenlearner::kernels
