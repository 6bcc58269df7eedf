// A kernel's limit of dynamic shared memory, raised once per device. Host only; it needs no CUDA header.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include "kernels/status.hpp"

namespace tokenlearner::kernels::cuda {

/**
 * One object per kernel, with static storage. It remembers on which devices the limit is raised. Any thread may
 * call it. cudaDeviceReset lowers the limit again without this object, but it also frees all memory of the engine.
 */
class SharedLimit {
 public:
  /** Devices with a higher number are raised at each call. */
  static constexpr int kDevices = 64;

  /**
   * `raise(needed, &most)` sets the limit to the device's maximum and stores that (bytes). It is always the
   * maximum, never what one launch needs: the threads of a process share the kernel's limit, so one could lower
   * it under another one's launch. So threads that raise it at the same time do no harm. Only a success is
   * remembered. A launch that needs more than the maximum calls `raise` each time, which refuses it.
   */
  template <typename Raise>
  Status ensure(int device, std::size_t needed, Raise raise) {
    const bool remembered = device >= 0 && device < kDevices;
    // Relaxed: the entry guards no other memory, and CUDA orders its own.
    if (remembered && needed <= raised_[static_cast<std::size_t>(device)].load(std::memory_order_relaxed))
      return Status::ok;
    std::size_t most = 0;
    const Status status = raise(needed, &most);
    if (remembered && status == Status::ok)
      raised_[static_cast<std::size_t>(device)].store(most, std::memory_order_relaxed);
    return status;
  }

 private:
  /** By device: the limit in bytes, 0 if it is not raised. */
  std::array<std::atomic<std::size_t>, kDevices> raised_{};
};

}  // namespace tokenlearner::kernels::cuda
