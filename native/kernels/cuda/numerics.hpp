// Conversions between the element types. Host and device give the same bits.
#pragma once

#include "kernels/cuda/portable.hpp"
#include "kernels/dtype.hpp"

namespace tokenlearner::kernels::cuda {

TOKENLEARNER_PORTABLE float bfloat16_to_float(std::uint16_t bits) {
  return float_of(static_cast<std::uint32_t>(bits) << 16);
}

/** Rounds to nearest, ties to even. NaN stays NaN. */
TOKENLEARNER_PORTABLE std::uint16_t float_to_bfloat16(float value) {
  const std::uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fc0u;
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

TOKENLEARNER_PORTABLE float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t magnitude = half & 0x7fffu;
  // Subnormal: the value is the integer times 2^-24.
  if (magnitude < 0x0400u) return float_of(bits_of(static_cast<float>(magnitude) * 0x1p-24f) | sign);
  const std::uint32_t bias = magnitude >= 0x7c00u ? (255u - 31u) << 23 : (127u - 15u) << 23;
  return float_of(((magnitude << 13) + bias) | sign);
}

/** Rounds to nearest, ties to even. NaN stays NaN. 65520 and larger values become infinite. */
TOKENLEARNER_PORTABLE std::uint16_t float_to_half(float value) {
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

/** Element `index` of a float32, float16 or bfloat16 array. */
TOKENLEARNER_PORTABLE float load_element(const void* base, DType dtype, std::int64_t index) {
  if (dtype == DType::float32) return static_cast<const float*>(base)[index];
  const std::uint16_t bits = static_cast<const std::uint16_t*>(base)[index];
  return dtype == DType::float16 ? half_to_float(bits) : bfloat16_to_float(bits);
}

TOKENLEARNER_PORTABLE void store_element(void* base, DType dtype, std::int64_t index, float value) {
  if (dtype == DType::float32) {
    static_cast<float*>(base)[index] = value;
  } else {
    static_cast<std::uint16_t*>(base)[index] =
        dtype == DType::float16 ? float_to_half(value) : float_to_bfloat16(value);
  }
}

}  // namespace tokenlearner::kernels::cuda
