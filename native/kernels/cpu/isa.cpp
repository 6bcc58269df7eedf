#include "kernels/cpu/isa.hpp"

#include <cstdlib>
#include <cstring>

namespace tokenlearner::kernels {

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "";
}

bool is_available(Isa isa) {
  if (isa == Isa::baseline) return true;
#if defined(__x86_64__)
  // The compiler's support code uses cpuid, and xgetbv to see which registers the operating system saves.
  if (isa == Isa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return is_available(Isa::avx2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

Isa best_isa() {
  for (const Isa isa : {Isa::avx512, Isa::avx2}) {
    if (is_available(isa)) return isa;
  }
  return Isa::baseline;
}

Isa chosen_isa() { return isa_from_name(std::getenv("TOKENLEARNER_CPU_ISA")); }

std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (is_available(isa)) isas.push_back(isa);
  }
  return isas;
}

Isa isa_from_name(const char* name) {
  if (name != nullptr) {
    for (const Isa isa : available_isas()) {
      if (std::strcmp(name, name_of(isa)) == 0) return isa;
    }
  }
  return best_isa();
}

}  // namespace tokenlearner::kernels
