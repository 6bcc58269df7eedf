// How failed checks print the CUDA kernels' own types.
#pragma once

#include <doctest.h>

#include "../stringify.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner::kernels::cuda {

// doctest finds these by the type's namespace.
inline doctest::String toString(Precision precision) { return name_of(precision); }
inline doctest::String toString(Variant variant) { return name_of(variant); }

}  // namespace tokenlearner::kernels::cuda
