#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tokenlearner {

/// The libtorch that this process uses. See Note [One addon, many libtorch] in torch-abi.hpp.
struct TorchInfo {
  std::string lib_dir;
  /// "2.13.0": the version that libtorch itself reports, major.minor.patch.
  std::string version;
  /// Whether it is a build with CUDA (libtorch_cuda lies beside it).
  bool cuda_build = false;
  /// The CUDA runtime that libtorch_cuda uses, as 1000 * major + 10 * minor; 0 before load_torch_cuda() or
  /// where unknown.
  int cuda_runtime = 0;
};

/// Opens libtorch_cpu in `lib_dir` and resolves the shim. The first success holds for the whole process; the
/// same folder again is a no-op. Thread-safe. Throws ERR_LIBTORCH_LOAD, also where the process has loaded one
/// of another folder, whoever did; ERR_LIBTORCH_INCOMPATIBLE.
void load_torch(const std::string& lib_dir);

/// Opens libtorch_cuda beside the loaded libtorch_cpu, which registers the CUDA operators. Idempotent,
/// thread-safe. Throws ERR_LIBTORCH_LOAD.
void load_torch_cuda();

std::optional<TorchInfo> torch_info();

/// at::get_num_threads(); precondition: loaded.
uint32_t torch_num_threads();

}  // namespace tokenlearner
