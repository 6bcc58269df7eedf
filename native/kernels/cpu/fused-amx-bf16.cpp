// AVX-512 with the tiles of AMX: Note [Tiles] in tile-product.hpp.
#define TOKENLEARNER_ISA_NAMESPACE amx_bf16
#define TOKENLEARNER_VECTOR_BYTES 64
#define TOKENLEARNER_PAIR_PRODUCT "kernels/cpu/tile-operations.hpp"
#define TOKENLEARNER_TILES

namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE {
namespace {
constexpr int kRows = 8;
constexpr int kVectors = 2;
}  // namespace
}  // namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE

#include "kernels/cpu/fused-bfloat16-impl.hpp"

namespace tokenlearner::kernels {

const TypedKernels& amx_bf16_kernels() {
  static const TypedKernels kernels = amx_bf16::pair_kernels();
  return kernels;
}

}  // namespace tokenlearner::kernels
