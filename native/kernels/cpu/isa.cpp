#include "kernels/cpu/isa.hpp"

#include <cstring>
#include <optional>
#include <string>

#include "kernels/cpu/cpu-features.hpp"
#include "platform/platform.hpp"

namespace tokenlearner::kernels {

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::neon:
      return "neon";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "";
}

bool is_available(Isa isa) {
#if defined(__x86_64__)
  const CpuFeatures& cpu = cpu_features();
  switch (isa) {
    case Isa::baseline:
      return true;
    case Isa::avx2:
      return cpu.avx2 && cpu.fma;
    case Isa::avx512:
      return is_available(Isa::avx2) && cpu.avx512;
    default:
      return false;
  }
#elif defined(__aarch64__)
  return isa == Isa::neon;
#else
  return isa == Isa::baseline;
#endif
}

Isa best_isa() { return available_isas().back(); }

std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : {Isa::baseline, Isa::neon, Isa::avx2, Isa::avx512}) {
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

Isa chosen_isa() {
  const std::optional<std::string> name = platform::environment_variable("TOKENLEARNER_CPU_ISA");
  return isa_from_name(name ? name->c_str() : nullptr);
}

}  // namespace tokenlearner::kernels
