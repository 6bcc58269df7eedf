#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tokenlearner {

struct CudaDevice {
  int index = 0;
  std::string name;
  uint64_t total_memory = 0;  // bytes
  int compute_major = 0;
  int compute_minor = 0;
};

/// Says if this process can compute on CUDA, and if not, why not.
struct CudaReport {
  bool available = false;
  /// Machine-readable. Empty if available, otherwise "no-driver", "libtorch-cpu-only", "driver-too-old",
  /// "no-device", "no-visible-device", "out-of-memory", "libtorch-cuda-load-failed" or "driver-error".
  std::string reason;
  std::string detail;
  std::vector<CudaDevice> devices;
  /// The index of the first of `devices` that could be started. Device 'auto' means this one.
  int default_device = 0;
};

// Note: [CUDA hooks]
// libtorch_cuda registers hooks. libtorch_cpu looks for them when an operator first needs them (even a
// convolution on the CPU does) and keeps the result. If it found none, the process could never use CUDA. So
// libtorch_cuda is opened before any operator runs.

/// True if the NVIDIA driver's library libcuda.so.1 can be opened. Without it there is no usable GPU, with
/// any libtorch. Thread-safe, prints nothing.
bool has_cuda_driver();

/// Opens libtorch_cuda if there is a driver and a GPU. Starts no context. Must be called as soon as libtorch
/// is loaded. If it cannot open the library, probe_cuda() reports the reason. Thread-safe, prints nothing.
void open_cuda();

/// Asks the driver (through libcuda, so no CUDA runtime is needed), opens libtorch_cuda, and starts the first
/// device that can be started. The first result is kept for the whole process. Thread-safe, prints nothing.
/// Throws ERR_LIBTORCH_NOT_FOUND if there is a driver and libtorch is not loaded.
const CudaReport& probe_cuda();

}  // namespace tokenlearner
