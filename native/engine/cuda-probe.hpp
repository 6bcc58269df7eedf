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

/// Whether this process can compute on CUDA, and if not, why.
struct CudaReport {
  bool available = false;
  /// Machine-readable, empty when available: "libtorch-cpu-only", "no-driver", "driver-too-old", "no-device",
  /// "no-visible-device", "out-of-memory", "libtorch-cuda-load-failed" or "driver-error".
  std::string reason;
  std::string detail;
  std::vector<CudaDevice> devices;
  /// Of `devices`: the first that could be started, which device 'auto' means.
  int default_device = 0;
};

/// Asks the driver (through libcuda itself, so that no CUDA runtime is needed), then opens libtorch_cuda and
/// starts the first device that can be started. The first answer holds for the process. Thread-safe, quiet.
/// Precondition: libtorch is loaded.
const CudaReport& probe_cuda();

}  // namespace tokenlearner
