// The element types, and the 16-bit conversions in plain integer arithmetic. The fused kernels compute the four
// floating-point types.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tokenlearner::kernels {

/** The values are those of libtorch's ScalarType. Its stable ABI never changes them. */
enum class DType : std::int32_t {
  uint8 = 0,
  int32 = 3,
  int64 = 4,
  float16 = 5,
  float32 = 6,
  float64 = 7,
  boolean = 11,
  bfloat16 = 15,
};

/** Bytes of one element. 0 if the value is not a DType. */
constexpr std::size_t item_size(DType dtype) {
  switch (dtype) {
    case DType::uint8:
    case DType::boolean:
      return 1;
    case DType::float16:
    case DType::bfloat16:
      return 2;
    case DType::int32:
    case DType::float32:
      return 4;
    case DType::int64:
    case DType::float64:
      return 8;
  }
  return 0;
}

constexpr bool is_floating(DType dtype) {
  return dtype == DType::float16 || dtype == DType::bfloat16 || dtype == DType::float32 ||
         dtype == DType::float64;
}

/** PyTorch's name. */
constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::uint8:
      return "uint8";
    case DType::int32:
      return "int32";
    case DType::int64:
      return "int64";
    case DType::float16:
      return "float16";
    case DType::float32:
      return "float32";
    case DType::float64:
      return "float64";
    case DType::boolean:
      return "bool";
    case DType::bfloat16:
      return "bfloat16";
  }
  return "unknown";
}

/** The type of the sums: float64 for float64, float32 for all others. */
constexpr DType compute_dtype(DType dtype) {
  return dtype == DType::float64 ? DType::float64 : DType::float32;
}

// Note: [No out-of-line copies]
// Some of the files that include this header are compiled for AVX-512. If such a file emits an inline
// function out of line, the linker may keep that copy for the whole program, and the program then crashes on
// older machines. So everything that those files share with others is always inlined or has its own
// namespace.
#define TOKENLEARNER_ALWAYS_INLINE [[gnu::always_inline]] inline

/** An IEEE binary16 number in memory. */
struct Half {
  std::uint16_t bits;
};

/** A bfloat16 number in memory: the upper half of a float32. */
struct BFloat16 {
  std::uint16_t bits;
};

TOKENLEARNER_ALWAYS_INLINE float widen(float value) { return value; }
TOKENLEARNER_ALWAYS_INLINE double widen(double value) { return value; }
TOKENLEARNER_ALWAYS_INLINE float widen(BFloat16 value) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(value.bits) << 16);
}

TOKENLEARNER_ALWAYS_INLINE float widen(Half value) {
  const std::uint32_t sign = static_cast<std::uint32_t>(value.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = value.bits & 0x7fffu;
  // Subnormal: the value is the integer times 2^-24.
  if (magnitude < 0x0400u) {
    const float subnormal = static_cast<float>(magnitude) * 0x1p-24f;
    return __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, subnormal) | sign);
  }
  // The exponent's bias changes from 15 to 127. Infinity and NaN keep an exponent of all ones.
  const std::uint32_t bias = magnitude >= 0x7c00u ? (255u - 31u) << 23 : (127u - 15u) << 23;
  return __builtin_bit_cast(float, ((magnitude << 13) + bias) | sign);
}

/** Rounds to nearest, ties to even, as PyTorch does. NaN stays NaN; in a Half it keeps its sign and upper bits. */
template <typename Stored, typename Compute>
TOKENLEARNER_ALWAYS_INLINE Stored narrow(Compute value) {
  return static_cast<Stored>(value);
}

template <>
TOKENLEARNER_ALWAYS_INLINE BFloat16 narrow<BFloat16, float>(float value) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fc0u};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

template <>
TOKENLEARNER_ALWAYS_INLINE Half narrow<Half, float>(float value) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return {static_cast<std::uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu))};
  // 65520 and larger values round to infinity.
  if (magnitude >= 0x477ff000u) return {static_cast<std::uint16_t>(sign | 0x7c00u)};
  // Below 2^-14: adding 0.5 rounds the value to a multiple of 2^-24 and leaves it in the low mantissa bits.
  if (magnitude < 0x38800000u) {
    const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
    return {static_cast<std::uint16_t>(sign | (__builtin_bit_cast(std::uint32_t, shifted) - 0x3f000000u))};
  }
  const std::uint32_t rounded = magnitude + 0x0fffu + ((magnitude >> 13) & 1u);
  return {static_cast<std::uint16_t>(sign | ((rounded - ((127u - 15u) << 23)) >> 13))};
}

}  // namespace tokenlearner::kernels
