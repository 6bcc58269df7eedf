// Reads a number of any floating dtype.
#pragma once

#include <cstdint>

#include "kernels/dtype.hpp"

namespace tokenlearner::kernels {

template <typename Compute>
Compute load_as(const void* base, DType dtype, std::int64_t index) {
  switch (dtype) {
    case DType::float64:
      return static_cast<Compute>(static_cast<const double*>(base)[index]);
    case DType::float16:
      return widen(static_cast<const Half*>(base)[index]);
    case DType::bfloat16:
      return widen(static_cast<const BFloat16*>(base)[index]);
    default:
      return static_cast<const float*>(base)[index];
  }
}

}  // namespace tokenlearner::kernels
