// Values known at run time as constants of a kernel's template.
#pragma once

#include <type_traits>

#include "kernels/cuda/token-learner-cuda.hpp"
#include "kernels/status.hpp"

namespace tokenlearner::kernels::cuda {

/** Calls `run` with the precision as a constant, and returns its status. */
template <typename Run>
Status with_precision(Precision precision, const Run& run) {
  switch (precision) {
    case Precision::float32:
      return run(std::integral_constant<Precision, Precision::float32>());
    case Precision::tf32:
      return run(std::integral_constant<Precision, Precision::tf32>());
    case Precision::bfloat16:
      return run(std::integral_constant<Precision, Precision::bfloat16>());
    case Precision::float16:
      return run(std::integral_constant<Precision, Precision::float16>());
  }
  return Status::invalid_argument;
}

/** The same with `resident` as a second constant: true if a tile's pixels stay in shared memory. */
template <typename Run>
Status with_tile(Precision precision, bool resident, const Run& run) {
  return with_precision(precision, [&](auto constant) {
    return resident ? run(constant, std::true_type()) : run(constant, std::false_type());
  });
}

}  // namespace tokenlearner::kernels::cuda
