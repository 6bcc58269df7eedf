#pragma once

#include <string>

namespace tokenlearner {

/// The folder of the libtorch_cpu that this process has mapped, no matter who opened it: another copy of this
/// package, another addon, an embedded Python. Empty if there is none, or if the system cannot tell.
std::string mapped_torch_dir();

}  // namespace tokenlearner
