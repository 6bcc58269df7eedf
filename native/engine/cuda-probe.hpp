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

// Note: [CUDA hooks]
// libtorch_cpu looks for the hooks that libtorch_cuda registers when an operator first needs them (a
// convolution on the CPU does), and keeps what it found. Had it found none, CUDA would be lost to the
// process: libtorch_cuda is opened before any operator runs.

/// Opens libtorch_cuda where a driver and a GPU are there for it; starts no context. To be called as soon as
/// libtorch is loaded. What hinders it is told by probe_cuda(). Thread-safe, quiet.
void open_cuda();

/// Asks the driver (through libcuda itself, so that no CUDA runtime is needed), then opens libtorch_cuda and
/// starts the first device that can be started. The first answer holds for the process. Thread-safe, quiet.
/// Precondition: libtorch is loaded.
const CudaReport& probe_cuda();

}  // namespace tokenlearner
