// Conversions between the element types. The device has an instruction for each conversion of 16-bit types. It
// gives the same bits as the code for the host, except those of a NaN.
#pragma once

#include <type_traits>

#include "kernels/cuda/portable.hpp"
#include "kernels/dtype.hpp"

namespace tokenlearner::kernels::cuda {

TOKENLEARNER_PORTABLE float bfloat16_to_float(std::uint16_t bits) {
  return float_of(static_cast<std::uint32_t>(bits) << 16);
}

/** Rounds to nearest, ties to even. NaN stays NaN. */
TOKENLEARNER_PORTABLE std::uint16_t float_to_bfloat16(float value) {
#if defined(__CUDA_ARCH__)
  std::uint16_t result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result) : "f"(value));
  return result;
#else
  const std::uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fc0u;
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
#endif
}

TOKENLEARNER_PORTABLE float half_to_float(std::uint16_t half) {
#if defined(__CUDA_ARCH__)
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(half));
  return result;
#else
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t magnitude = half & 0x7fffu;
  // Subnormal: the value is the integer times 2^-24.
  if (magnitude < 0x0400u) return float_of(bits_of(static_cast<float>(magnitude) * 0x1p-24f) | sign);
  const std::uint32_t bias = magnitude >= 0x7c00u ? (255u - 31u) << 23 : (127u - 15u) << 23;
  return float_of(((magnitude << 13) + bias) | sign);
#endif
}

/** Rounds to nearest, ties to even. NaN stays NaN. 65520 and larger values become infinite. */
TOKENLEARNER_PORTABLE std::uint16_t float_to_half(float value) {
#if defined(__CUDA_ARCH__)
  std::uint16_t result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result) : "f"(value));
  return result;
#else
  const std::uint32_t bits = bits_of(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
  // Below 2^-14: adding 0.5 rounds the value to a multiple of 2^-24 and leaves it in the low mantissa bits.
  if (magnitude < 0x38800000u) {
    return static_cast<std::uint16_t>(sign | (bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u));
  }
  const std::uint32_t rounded = magnitude + 0x0fffu + ((magnitude >> 13) & 1u);
  return static_cast<std::uint16_t>(sign | ((rounded - ((127u - 15u) << 23)) >> 13));
#endif
}

/** Rounds to the 10-bit mantissa of tf32, to nearest, ties away from zero (PTX `cvt.rna.tf32.f32`). */
TOKENLEARNER_PORTABLE float round_to_tf32(float value) {
  const std::uint32_t bits = bits_of(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return value;
  return float_of((bits + 0x1000u) & 0xffffe000u);
}

/**
 * Splits a value: value = high + low, with a relative error of at most 2^-22. If high rounds up to infinity,
 * low is 0, so a finite input never gives inf - inf.
 */
TOKENLEARNER_PORTABLE void split_tf32(float value, float& high, float& low) {
  high = round_to_tf32(value);
  const bool finite = (bits_of(high) & 0x7f800000u) != 0x7f800000u;
  low = finite ? round_to_tf32(value - high) : 0.0f;
}

/** An element of a float32, float16 or bfloat16 array as it lies in memory. */
template <DType kDType>
using Stored = std::conditional_t<kDType == DType::float32, float, std::uint16_t>;

/** Two adjacent elements, read by one instruction. */
template <DType kDType>
struct alignas(2 * sizeof(Stored<kDType>)) StoredPair {
  Stored<kDType> element[2];
};

template <DType kDType>
TOKENLEARNER_PORTABLE float to_float(Stored<kDType> value) {
  static_assert(kDType != DType::float64);
  if constexpr (kDType == DType::float32) {
    return value;
  } else {
    return kDType == DType::float16 ? half_to_float(value) : bfloat16_to_float(value);
  }
}

template <DType kDType>
TOKENLEARNER_PORTABLE Stored<kDType> from_float(float value) {
  static_assert(kDType != DType::float64);
  if constexpr (kDType == DType::float32) {
    return value;
  } else {
    return kDType == DType::float16 ? float_to_half(value) : float_to_bfloat16(value);
  }
}

/** Element `index` of an array whose dtype is known at compile time. */
template <DType kDType>
TOKENLEARNER_PORTABLE float load_element(const void* base, std::int64_t index) {
  return to_float<kDType>(static_cast<const Stored<kDType>*>(base)[index]);
}

template <DType kDType>
TOKENLEARNER_PORTABLE void store_element(void* base, std::int64_t index, float value) {
  static_cast<Stored<kDType>*>(base)[index] = from_float<kDType>(value);
}

/** Element `index` of a float32, float16 or bfloat16 array. */
TOKENLEARNER_PORTABLE float load_element(const void* base, DType dtype, std::int64_t index) {
  if (dtype == DType::float32) return load_element<DType::float32>(base, index);
  return dtype == DType::float16 ? load_element<DType::float16>(base, index)
                                 : load_element<DType::bfloat16>(base, index);
}

TOKENLEARNER_PORTABLE void store_element(void* base, DType dtype, std::int64_t index, float value) {
  if (dtype == DType::float32) {
    store_element<DType::float32>(base, index, value);
  } else if (dtype == DType::float16) {
    store_element<DType::float16>(base, index, value);
  } else {
    store_element<DType::bfloat16>(base, index, value);
  }
}

}  // namespace tokenlearner::kernels::cuda
