// Conversions of adjacent elements, compiled once per instruction set. convert-run-<isa>.cpp defines
// TOKENLEARNER_ISA_NAMESPACE and includes this file. The loops are plain: the compiler makes vectors of them.
// See Note [No out-of-line copies] in dtype.hpp and Note [Conversions] in convert-run.hpp.

#include <cstdint>
#include <type_traits>

#if defined(__F16C__)
#include <immintrin.h>
#endif

#include "kernels/cpu/convert-run.hpp"
#include "kernels/dtype.hpp"

namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE {
namespace {

/** A bool in memory: any byte. */
struct Bool {
  std::uint8_t byte;
};

template <typename T>
constexpr bool kIs16Bit = std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

/** The element as a number that C++ computes with. */
template <typename From>
TOKENLEARNER_ALWAYS_INLINE auto value_of(From element) {
  if constexpr (std::is_same_v<From, Bool>) {
    return static_cast<std::uint8_t>(element.byte != 0);
  } else if constexpr (kIs16Bit<From>) {
    return widen(element);
  } else {
    return element;
  }
}

template <typename To, typename From>
TOKENLEARNER_ALWAYS_INLINE To truncated(From value) {
  if constexpr (std::is_same_v<To, std::uint8_t>) {
    // A float32 of 2^31 or more is a multiple of 256. So its low 8 bits are those of the smallest int32.
    using Wide = std::conditional_t<std::is_same_v<From, float>, std::int32_t, std::int64_t>;
    return static_cast<std::uint8_t>(truncated<Wide>(value));
  } else {
    constexpr From kLimit = sizeof(To) == 4 ? From{0x1p31} : From{0x1p63};
    constexpr auto kSmallest = static_cast<To>(-kLimit);
    return value >= -kLimit && value < kLimit ? static_cast<To>(value) : kSmallest;
  }
}

template <typename To, typename Value>
TOKENLEARNER_ALWAYS_INLINE To element_of(Value value) {
  if constexpr (std::is_same_v<To, Bool>) {
    return {static_cast<std::uint8_t>(value != 0)};
  } else if constexpr (kIs16Bit<To>) {
    return narrow<To>(static_cast<float>(value));
  } else if constexpr (std::is_integral_v<To> && std::is_floating_point_v<Value>) {
    return truncated<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

/** Float16 to float32. A signalling NaN becomes quiet, as the processor's own instruction makes it. */
TOKENLEARNER_ALWAYS_INLINE void widen_halves(const Half* from, float* to, std::int64_t count) {
  std::int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= count; i += 8) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_ps(to + i, _mm256_cvtph_ps(halves));
  }
#endif
  for (; i < count; ++i) {
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, widen(from[i]));
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    to[i] = __builtin_bit_cast(float, is_nan ? bits | 0x00400000u : bits);
  }
}

TOKENLEARNER_ALWAYS_INLINE void narrow_to_halves(const float* from, Half* to, std::int64_t count) {
  std::int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= count; i += 8) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), halves);
  }
#endif
  for (; i < count; ++i) to[i] = narrow<Half>(from[i]);
}

/** Elements of a pass through float32. */
constexpr std::int64_t kPass = 512;

template <typename From, typename To>
void convert_run(const void* source, void* target, std::int64_t count) {
  const From* from = static_cast<const From*>(source);
  To* to = static_cast<To*>(target);
  if constexpr (std::is_same_v<From, To> && !std::is_same_v<From, Bool>) {
    __builtin_memcpy(to, from, static_cast<std::size_t>(count) * sizeof(To));
  } else if constexpr (std::is_same_v<From, Half> && std::is_same_v<To, float>) {
    widen_halves(from, to, count);
  } else if constexpr (std::is_same_v<From, float> && std::is_same_v<To, Half>) {
    narrow_to_halves(from, to, count);
  } else if constexpr (std::is_same_v<From, Half> || std::is_same_v<To, Half>) {
    float pass[kPass];
    for (std::int64_t i = 0; i < count; i += kPass) {
      const std::int64_t n = count - i < kPass ? count - i : kPass;
      convert_run<From, float>(from + i, pass, n);
      convert_run<float, To>(pass, to + i, n);
    }
  } else {
    for (std::int64_t i = 0; i < count; ++i) to[i] = element_of<To>(value_of(from[i]));
  }
}

template <typename From>
void fill_row(ConvertRun (&row)[ConvertRuns::kTypes]) {
  const auto set = [&](DType dtype, ConvertRun run) { row[ConvertRuns::index_of(dtype)] = run; };
  set(DType::uint8, convert_run<From, std::uint8_t>);
  set(DType::int32, convert_run<From, std::int32_t>);
  set(DType::int64, convert_run<From, std::int64_t>);
  set(DType::float16, convert_run<From, Half>);
  set(DType::float32, convert_run<From, float>);
  set(DType::float64, convert_run<From, double>);
  set(DType::boolean, convert_run<From, Bool>);
  set(DType::bfloat16, convert_run<From, BFloat16>);
}

ConvertRuns make_convert_runs() {
  ConvertRuns runs{};
  const auto row = [&](DType dtype) -> auto& { return runs.runs[ConvertRuns::index_of(dtype)]; };
  fill_row<std::uint8_t>(row(DType::uint8));
  fill_row<std::int32_t>(row(DType::int32));
  fill_row<std::int64_t>(row(DType::int64));
  fill_row<Half>(row(DType::float16));
  fill_row<float>(row(DType::float32));
  fill_row<double>(row(DType::float64));
  fill_row<Bool>(row(DType::boolean));
  fill_row<BFloat16>(row(DType::bfloat16));
  return runs;
}

}  // namespace
}  // namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE
