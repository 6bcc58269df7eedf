#pragma once

#include "kernels/cuda/device.hpp"

namespace test {

/// The error that the host machine's failing launches stand for. A test sets it.
inline tokenlearner::kernels::cuda::LastError host_error;

}  // namespace test
