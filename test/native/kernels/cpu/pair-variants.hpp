// All kernels for pairs that this machine can run.
#pragma once

#include <vector>

#include "kernels/cpu/cpu-features.hpp"
#include "kernels/cpu/fused-kernels.hpp"
#include "kernels/cpu/isa.hpp"

namespace tokenlearner::kernels {

namespace emulated_pairs {
const TypedKernels& emulated();
}
namespace emulated_tiles {
const TypedKernels& emulated();
}
#if defined(__x86_64__)
namespace emulated_pairs_avx512 {
const TypedKernels& emulated();
}
namespace emulated_tiles_avx512 {
const TypedKernels& emulated();
}
#endif

}  // namespace tokenlearner::kernels

namespace test {

using namespace tokenlearner::kernels;

struct PairVariant {
  const char* name;
  Isa isa;
  const TypedKernels* kernels;
};

inline std::vector<PairVariant> pair_variants() {
  const Isa first = available_isas().front();
  std::vector<PairVariant> variants{{"emulated pairs", first, &emulated_pairs::emulated()},
                                    {"emulated tiles", first, &emulated_tiles::emulated()}};
#if defined(__x86_64__)
  if (is_available(Isa::avx512)) {
    variants.push_back({"emulated pairs, AVX-512", Isa::avx512, &emulated_pairs_avx512::emulated()});
    variants.push_back({"emulated tiles, AVX-512", Isa::avx512, &emulated_tiles_avx512::emulated()});
  }
  if (cpu_features().avx512_bf16) variants.push_back({"AVX512_BF16", Isa::avx512, &avx512_bf16_kernels()});
  if (enable_tiles()) variants.push_back({"AMX_BF16", Isa::avx512, &amx_bf16_kernels()});
#endif
  return variants;
}

}  // namespace test
