#include "engine/cuda/probe.hpp"

#include <cstdlib>
#include <filesystem>

#include "engine/cuda/stream.hpp"
#include "engine/error.hpp"
#include "engine/torch/abi.hpp"
#include "engine/torch/aten.hpp"
#include "engine/torch/library.hpp"
#include "platform/platform.hpp"

namespace tokenlearner {

namespace {

// The constants of the CUDA driver API (cuda.h) that the probe needs.
constexpr int kSuccess = 0;
constexpr int kOutOfMemory = 2;
constexpr int kNoDevice = 100;
constexpr int kSystemDriverMismatch = 803;
constexpr int kMajor = 75;
constexpr int kMinor = 76;
// libtorch's CUDA builds from 2.11 on use CUDA 12.6 or later. A driver runs every CUDA runtime of its own
// major version. CUDA 12 needs driver 525 or later, CUDA 13 needs 580 or later.
constexpr int kOldestDriver = 12000;

struct Driver {
  int (*init)(unsigned flags) = nullptr;
  int (*driver_version)(int* version) = nullptr;
  int (*device_count)(int* count) = nullptr;
  int (*device_get)(int* device, int ordinal) = nullptr;
  int (*device_name)(char* name, int length, int device) = nullptr;
  int (*device_memory)(std::size_t* bytes, int device) = nullptr;
  int (*device_attribute)(int* value, int attribute, int device) = nullptr;
};

template <typename F>
bool resolve(void* handle, const char* name, F& function) {
  function = reinterpret_cast<F>(platform::find_symbol(handle, name));
  return function != nullptr;
}

/// The driver's library, or null. Opened once per process and never closed.
void* driver_library() {
  static void* const handle = [] {
    std::string ignored;
    return platform::open_library(platform::kCudaDriver, ignored);
  }();
  return handle;
}

bool resolve_driver(Driver& driver) {
  void* const handle = driver_library();
  return handle != nullptr && resolve(handle, "cuInit", driver.init) &&
         resolve(handle, "cuDriverGetVersion", driver.driver_version) &&
         resolve(handle, "cuDeviceGetCount", driver.device_count) &&
         resolve(handle, "cuDeviceGet", driver.device_get) &&
         resolve(handle, "cuDeviceGetName", driver.device_name) &&
         resolve(handle, "cuDeviceTotalMem_v2", driver.device_memory) &&
         resolve(handle, "cuDeviceGetAttribute", driver.device_attribute);
}

CudaReport unavailable(std::string reason, std::string detail) {
  CudaReport report;
  report.reason = std::move(reason);
  report.detail = std::move(detail);
  return report;
}

CudaReport no_driver() {
  std::error_code ignored;
  const std::string library = platform::kCudaDriver;
  const bool has_node = std::filesystem::exists("/dev/nvidiactl", ignored);
  return unavailable(
      "no-driver", has_node ? "There is an NVIDIA GPU, but its driver's library " + library + " was not found"
                            : "No NVIDIA driver (" + library + ") is installed");
}

CudaReport no_device() {
  const std::optional<std::string> visible = platform::environment_variable("CUDA_VISIBLE_DEVICES");
  if (visible) {
    return unavailable("no-visible-device",
                       "CUDA_VISIBLE_DEVICES is '" + *visible + "', which leaves no GPU visible");
  }
  return unavailable("no-device", "The NVIDIA driver is there, and it finds no GPU");
}

CudaReport driver_too_old(int version, int needed) {
  const auto text = [](int v) { return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10); };
  return unavailable("driver-too-old", "The NVIDIA driver supports CUDA " + text(version) + "; this needs " +
                                           text(needed) + " or later");
}

/// The report for a failed cuInit.
CudaReport failed_start(int status) {
  if (status == kNoDevice) return no_device();
  if (status == kOutOfMemory) return unavailable("out-of-memory", "The GPU has no memory left to start on");
  if (status == kSystemDriverMismatch) {
    return unavailable("driver-error", std::string("The NVIDIA kernel module and ") + platform::kCudaDriver +
                                           " are of different versions");
  }
  return unavailable("driver-error",
                     "The NVIDIA driver failed to start (CUresult " + std::to_string(status) + ")");
}

std::vector<CudaDevice> list_devices(const Driver& driver, int count) {
  std::vector<CudaDevice> devices;
  for (int i = 0; i < count; ++i) {
    CudaDevice found;
    found.index = i;
    int device = 0;
    char name[256] = "";
    std::size_t bytes = 0;
    if (driver.device_get(&device, i) != kSuccess) continue;
    driver.device_name(name, sizeof(name), device);
    driver.device_memory(&bytes, device);
    driver.device_attribute(&found.compute_major, kMajor, device);
    driver.device_attribute(&found.compute_minor, kMinor, device);
    found.name = name;
    found.total_memory = bytes;
    devices.push_back(std::move(found));
  }
  return devices;
}

/// The result of open(), before any device is started.
struct Opened {
  /// Why there is nothing to start; its reason is empty where there is something.
  CudaReport obstacle;
  std::vector<CudaDevice> devices;
};

Opened open() {
  Driver driver;
  if (!resolve_driver(driver)) return {no_driver(), {}};
  if (!torch_info()) throw Error(ErrorCode::ERR_LIBTORCH_NOT_FOUND, "libtorch has not been loaded");
  if (!torch_info()->cuda_build) {
    return {unavailable("libtorch-cpu-only",
                        "The libtorch in use is a CPU build; install one with CUDA to use a GPU"),
            {}};
  }
  int version = 0;
  const bool versioned = driver.driver_version(&version) == kSuccess;
  if (versioned && version < kOldestDriver) return {driver_too_old(version, kOldestDriver), {}};
  if (const int status = driver.init(0); status != kSuccess) return {failed_start(status), {}};
  int count = 0;
  if (driver.device_count(&count) != kSuccess || count == 0) return {no_device(), {}};
  try {
    load_torch_cuda();
  } catch (const Error& error) {
    return {unavailable("libtorch-cuda-load-failed", error.what()), {}};
  }
  const int runtime = torch_info()->cuda_runtime;
  if (versioned && version / 1000 < runtime / 1000) {
    return {driver_too_old(version, runtime / 1000 * 1000), {}};
  }
  Opened opened{{}, list_devices(driver, count)};
  if (opened.devices.empty()) opened.obstacle = no_device();
  return opened;
}

const Opened& opened() {
  static const Opened instance = open();
  return instance;
}

/// Throws if no context can be made, or if libtorch has no code for the device.
void start(Device device) {
  const TorchDeviceGuard guard(device);
  static_cast<void>(aten::relu(aten::empty({1}, DType::float32, device, false)));
  synchronize(device);
}

/// Chooses the first device that starts: the memory of an earlier one may be full of another process's data.
CudaReport probe() {
  if (!opened().obstacle.reason.empty()) return opened().obstacle;
  CudaReport failure;
  for (const CudaDevice& device : opened().devices) {
    try {
      start(Device::cuda(device.index));
      CudaReport report;
      report.available = true;
      report.default_device = device.index;
      report.devices = opened().devices;
      return report;
    } catch (const Error& error) {
      const bool full = error.code() == ErrorCode::ERR_OUT_OF_MEMORY;
      if (failure.reason.empty())
        failure = unavailable(full ? "out-of-memory" : "driver-error", error.what());
    }
  }
  return failure;
}

}  // namespace

bool has_cuda_driver() { return driver_library() != nullptr; }

void open_cuda() { static_cast<void>(opened()); }

const CudaReport& probe_cuda() {
  static const CudaReport report = probe();
  return report;
}

}  // namespace tokenlearner
