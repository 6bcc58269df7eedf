// The instruction sets of the CPU kernels. Each has its own translation unit. The choice is made at run time.
#pragma once

#include <vector>

namespace tokenlearner::kernels {

/**
 * In ascending order of preference. `baseline` is the minimum of the architecture: SSE2 on x86-64, NEON on
 * arm64.
 */
enum class Isa { baseline, avx2, avx512 };

const char* name_of(Isa isa);

/** True if it is built in and both the CPU and the operating system support it. */
bool is_available(Isa isa);

Isa best_isa();

/** The one that TOKENLEARNER_CPU_ISA names, for tests and benchmarks; otherwise best_isa(). */
Isa chosen_isa();

std::vector<Isa> available_isas();

/** The Isa with that name ("baseline", "avx2", "avx512") if it is available, otherwise best_isa(). */
Isa isa_from_name(const char* name);

}  // namespace tokenlearner::kernels
