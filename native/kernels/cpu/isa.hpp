// The instruction sets of the CPU kernels. Each has its own translation unit. The choice is made at run time.
#pragma once

#include <vector>

namespace tokenlearner::kernels {

/**
 * In ascending order of preference. x86-64 has `baseline` (SSE2), `avx2` and `avx512`; arm64 has `neon`; any
 * other architecture has `baseline`.
 */
enum class Isa { baseline, neon, avx2, avx512 };

const char* name_of(Isa isa);

/** True if it is built in and both the CPU and the operating system support it. */
bool is_available(Isa isa);

/** The last of available_isas(). */
Isa best_isa();

/** Never empty. */
std::vector<Isa> available_isas();

/** The Isa with that name ("baseline", "neon", "avx2", "avx512") if it is available, otherwise best_isa(). */
Isa isa_from_name(const char* name);

/** The Isa of new packed weights: the one that TOKENLEARNER_CPU_ISA names, or best_isa(). */
Isa chosen_isa();

}  // namespace tokenlearner::kernels
