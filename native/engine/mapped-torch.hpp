#pragma once

#include <string>

namespace tokenlearner {

/// The folder of the libtorch_cpu that this process has mapped, whoever opened it: another copy of this
/// package, another addon, an embedded Python. Empty where there is none, and where the system does not tell.
std::string mapped_torch_dir();

}  // namespace tokenlearner
