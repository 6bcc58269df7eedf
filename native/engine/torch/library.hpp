#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tokenlearner {

/// The libtorch that this process uses. See Note [One addon, many libtorch] in abi.hpp.
struct TorchInfo {
  std::string lib_dir;
  /// The version that libtorch itself reports: major.minor.patch, for example "2.13.0".
  std::string version;
  /// True for a build with CUDA (libtorch_cuda is in the same folder).
  bool cuda_build = false;
  /// The version of libtorch_cuda's CUDA runtime, as 1000 * major + 10 * minor. 0 before load_torch_cuda() or
  /// if unknown.
  int cuda_runtime = 0;
};

/// Opens libtorch_cpu in `lib_dir` and resolves the shim. The first success holds for the whole process. A
/// second call with the same folder does nothing. Throws ERR_LIBTORCH_LOAD, also if anyone in the process has
/// already loaded a libtorch from another folder. Throws ERR_LIBTORCH_INCOMPATIBLE. Thread-safe.
void load_torch(const std::string& lib_dir);

/// Opens libtorch_cuda in the folder of the loaded libtorch_cpu. This registers the CUDA operators. Throws
/// ERR_LIBTORCH_LOAD. Idempotent, thread-safe.
void load_torch_cuda();

/// The folder of the libtorch_cpu that this process has loaded, no matter who opened it: another copy of this
/// package, another addon, an embedded Python. Empty if there is none.
std::string mapped_torch_dir();

std::optional<TorchInfo> torch_info();

/// Gives libtorch's operators the number of threads of kernels::choose_threads(), if that was called. With OpenMP the
/// number belongs to the calling thread, so each thread calls this before it runs an operator. Precondition:
/// libtorch is loaded.
void adopt_chosen_threads();

/// True if the loaded libtorch, or what it was linked with, exports a function. Any thread.
bool torch_exports(const char* name);

/// While it lives, libtorch's operators on this thread use its share of the threads: those of all, divided by the number of
/// threads that run operators side by side. Precondition: libtorch is loaded.
class ThreadShare {
 public:
  explicit ThreadShare(int lanes);
  ~ThreadShare();
  ThreadShare(const ThreadShare&) = delete;
  ThreadShare& operator=(const ThreadShare&) = delete;

 private:
  /// 0 if nothing has changed.
  int before_ = 0;
  int mkl_before_ = 0;
};

/// at::get_num_threads(), for the calling thread. Precondition: libtorch is loaded.
uint32_t torch_num_threads();

}  // namespace tokenlearner
