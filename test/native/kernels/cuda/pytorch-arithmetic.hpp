// PyTorch's arithmetic at a dtype: float32 sums in eight running sums, as a vectorised product keeps them; storage is rounded
// after every operator.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner::kernels::cuda::test {

inline float round_as(Precision precision, float value) {
  switch (precision) {
    case Precision::float32:
    case Precision::tf32:
      return value;
    case Precision::bfloat16:
      return bfloat16_to_float(float_to_bfloat16(value));
    case Precision::float16:
      return half_to_float(float_to_half(value));
  }
  return value;
}

inline float operand_of(Precision precision, float value) {
  return precision == Precision::tf32 ? round_to_tf32(value) : value;
}

inline std::vector<float> operands(Precision precision, std::vector<float> values) {
  for (float& value : values) value = operand_of(precision, value);
  return values;
}

inline float total_of(const float (&sums)[8]) {
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

template <typename Term>
float sum_of(std::int64_t count, Term term) {
  float sums[8] = {};
  for (std::int64_t i = 0; i < count; ++i) sums[i % 8] += term(i);
  return total_of(sums);
}

/** sum_of of the products, in a form that compilers vectorise. */
inline float dot(const float* a, const float* b, std::int64_t count) {
  float sums[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int lane = 0; lane < 8; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  for (; i < count; ++i) sums[i % 8] += a[i] * b[i];
  return total_of(sums);
}

}  // namespace tokenlearner::kernels::cuda::test
