#include "engine/cuda/stream.hpp"

#include <atomic>
#include <cstdint>
#include <vector>

#include "engine/error.hpp"
#include "engine/torch/abi.hpp"

namespace tokenlearner {

namespace {

constexpr int kTrackedDevices = 64;

/// One bit per device. A broken CUDA context is broken for the whole process.
std::atomic<uint64_t> lost_devices = 0;

struct Kept {
  Device device;
  Storage host;
};

thread_local std::vector<Kept> kept;

class Release {
 public:
  explicit Release(Device device) : device_(device) {}
  ~Release() {
    std::erase_if(kept, [this](const Kept& each) { return each.device == device_; });
  }
  Release(const Release&) = delete;
  Release& operator=(const Release&) = delete;

 private:
  Device device_;
};

uint64_t bit_of(Device device) { return uint64_t{1} << (device.index % kTrackedDevices); }

}  // namespace

bool adopt_stream(Device device) noexcept {
  if (device.is_cpu()) return true;
  void* stream = nullptr;
  return torch().torch_get_cuda_stream_from_pool(false, device.index, &stream) == AOTI_TORCH_SUCCESS &&
         torch().torch_set_current_cuda_stream(stream, device.index) == AOTI_TORCH_SUCCESS;
}

void* current_stream(Device device) {
  void* stream = nullptr;
  if (device.is_cpu()) return stream;
  check_torch(torch().aoti_torch_get_current_cuda_stream(device.index, &stream), "current_stream");
  return stream;
}

void keep_until_synchronized(Device device, const Storage& host) {
  // One of a request's copies after the other is often of the same memory.
  if (kept.empty() || kept.back().host.owner() != host.owner() || kept.back().device != device)
    kept.push_back({device, host});
}

void synchronize(Device device) {
  if (device.is_cpu()) return;
  // Also if this fails: a broken device copies no more.
  const Release release(device);
  check_torch(torch().torch_cuda_stream_synchronize(current_stream(device), device.index), "synchronize");
}

void synchronize_default_stream(Device device) {
  if (device.is_cpu()) return;
  check_torch(torch().torch_cuda_stream_synchronize(nullptr, device.index), "synchronize");
}

bool is_lost(Device device) { return device.is_cuda() && (lost_devices.load() & bit_of(device)) != 0; }

void check_not_lost(Device device) {
  if (!is_lost(device)) return;
  throw DeviceLost(device, "Device " + device.to_string() +
                               " failed in a way that CUDA cannot recover from in this process; restart the "
                               "process to use it again");
}

void mark_lost(Device device) {
  if (device.is_cuda()) lost_devices.fetch_or(bit_of(device));
}

}  // namespace tokenlearner
