#include "kernels/cpu/cpu-features.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdint>

namespace tokenlearner::kernels {
namespace {

#if defined(__x86_64__)

// Not __builtin_cpu_supports: not every compiler's support library has what it needs (zig, clang-cl).

constexpr bool has_bits(std::uint64_t word, std::uint64_t bits) { return (word & bits) == bits; }

/** The registers that the operating system saves when it switches threads. */
std::uint64_t saved_registers() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t{high} << 32 | low;
}

CpuFeatures ask() {
  constexpr std::uint64_t kYmm = 0x06;
  constexpr std::uint64_t kZmm = 0xe6;
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  CpuFeatures found;
  // Without this bit there is no xgetbv.
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || !has_bits(ecx, bit_OSXSAVE)) return found;
  const std::uint64_t saved = saved_registers();
  if (!has_bits(saved, kYmm) || !has_bits(ecx, bit_AVX)) return found;
  found.fma = has_bits(ecx, bit_FMA);
  found.f16c = has_bits(ecx, bit_F16C);
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return found;
  found.avx2 = has_bits(ebx, bit_AVX2);
  found.avx512 =
      has_bits(saved, kZmm) && has_bits(ebx, bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL);
  return found;
}

#else

CpuFeatures ask() { return {}; }

#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = ask();
  return features;
}

}  // namespace tokenlearner::kernels
