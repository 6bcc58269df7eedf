// The kernels for pairs, with their instructions in plain C++. CMake compiles this file once per instruction set and kind of
// kernel, with the name of the function as TOKENLEARNER_EMULATED.
#include <algorithm>
#include <cstring>

#define TOKENLEARNER_ISA_NAMESPACE TOKENLEARNER_EMULATED
#define TOKENLEARNER_VECTOR_BYTES 64
#define TOKENLEARNER_PAIR_PRODUCT "emulated-pair-product.hpp"

namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE {
namespace {
constexpr int kRows = 8;
#if defined(TOKENLEARNER_TILES)
constexpr int kVectors = 2;
#else
constexpr int kVectors = 3;
#endif
}  // namespace
}  // namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE

#include "kernels/cpu/fused-bfloat16-impl.hpp"

namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE {

const TypedKernels& emulated() {
  static const TypedKernels kernels = pair_kernels();
  return kernels;
}

}  // namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE
