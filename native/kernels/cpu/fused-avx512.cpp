// AVX-512 (F, DQ, BW, VL). Of 32 registers 8 x 3 are accumulators and 8 hold pixels, a weight and GELU's
// terms.
#define TOKENLEARNER_ISA_NAMESPACE avx512
#define TOKENLEARNER_VECTOR_BYTES 64

namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE {
namespace {
constexpr int kRows = 8;
constexpr int kVectors = 3;
}  // namespace
}  // namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE

#include "kernels/cpu/fused-kernels-impl.hpp"

namespace tokenlearner::kernels {

const IsaKernels& avx512_kernels() {
  static const IsaKernels kernels = avx512::make_kernels();
  return kernels;
}

}  // namespace tokenlearner::kernels
