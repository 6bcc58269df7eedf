// AVX-512 with AVX512_BF16. The registers are used as in fused-avx512.cpp.
#define TOKENLEARNER_ISA_NAMESPACE avx512_bf16
#define TOKENLEARNER_VECTOR_BYTES 64
#define TOKENLEARNER_PAIR_PRODUCT "kernels/cpu/pair-product.hpp"

namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE {
namespace {
constexpr int kRows = 8;
constexpr int kVectors = 3;
}  // namespace
}  // namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE

#include "kernels/cpu/fused-bfloat16-impl.hpp"

namespace tokenlearner::kernels {

const TypedKernels& avx512_bf16_kernels() {
  static const TypedKernels kernels = avx512_bf16::pair_kernels();
  return kernels;
}

}  // namespace tokenlearner::kernels
