#pragma once

#include "kernels/dtype.hpp"

namespace tokenlearner {

using kernels::DType;
using kernels::is_floating;
using kernels::item_size;

}  // namespace tokenlearner
