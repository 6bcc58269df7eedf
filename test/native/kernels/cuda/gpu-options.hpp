// What the files of cuda-gpu-kernels share.
#pragma once

#include "device-memory.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner::kernels::cuda::test {

inline constexpr Precision kPrecisions[] = {Precision::float32, Precision::tf32, Precision::bfloat16,
                                            Precision::float16};

/** Of all device memory. `--no-poison` changes it. */
inline Fill fill = Fill::guarded;

}  // namespace tokenlearner::kernels::cuda::test
