#include "kernels/cpu/cpu-features.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <cstdint>

#include "platform/platform.hpp"

namespace tokenlearner::kernels {
namespace {

#if defined(__x86_64__)

// Not __builtin_cpu_supports: not every compiler's support library has what it needs (zig, clang-cl).

/** The processor's maker is Intel. */
bool is_intel() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return __get_cpuid(0, &eax, &ebx, &ecx, &edx) != 0 && ebx == signature_INTEL_ebx;
}

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
  constexpr std::uint64_t kTiles = 0x60000;
  constexpr unsigned kAmxBf16 = 1u << 22;
  constexpr unsigned kAmxTile = 1u << 24;
  constexpr unsigned kAvx512Bf16 = 1u << 5;
  found.amx_bf16 = found.avx512 && has_bits(saved, kTiles) && has_bits(edx, kAmxBf16 | kAmxTile);
  // Leaf 7 has a second part if its first part says so.
  if (eax == 0 || __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) == 0) return found;
  found.avx512_bf16 = found.avx512 && has_bits(eax, kAvx512Bf16);
  found.fast_pair_products = found.avx512_bf16 && !is_intel();
  return found;
}

#else

CpuFeatures ask() { return {}; }

#endif

}  // namespace

bool enable_tiles() {
  static const bool enabled = cpu_features().amx_bf16 && platform::request_tile_registers();
  return enabled;
}

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = ask();
  return features;
}

}  // namespace tokenlearner::kernels
