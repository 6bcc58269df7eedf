// Helpers of the launchers on the host: grids, and template arguments from values.
#pragma once

#include <type_traits>

#include "host-block.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"
#include "kernels/cuda/with-precision.hpp"

namespace tokenlearner::kernels::cuda::test {

template <typename A, typename B = int, typename C = int>
Dimensions grid(A x, B y = 1, C z = 1) {
  return {static_cast<int>(x), static_cast<int>(y), static_cast<int>(z)};
}

/** Calls `run`, which cannot fail, with the precision as a constant. */
template <typename Run>
Status run_with_precision(Precision precision, Run run) {
  return kernels::cuda::with_precision(precision, [&](auto constant) {
    run(constant);
    return Status::ok;
  });
}

/** Calls `run` with a dtype of x as a constant. */
template <typename Run>
void with_dtype(DType dtype, Run run) {
  if (dtype == DType::float32) {
    run(std::integral_constant<DType, DType::float32>());
  } else if (dtype == DType::float16) {
    run(std::integral_constant<DType, DType::float16>());
  } else {
    run(std::integral_constant<DType, DType::bfloat16>());
  }
}

}  // namespace tokenlearner::kernels::cuda::test
