// This thread's CUDA stream, and the list of devices that are broken. On the CPU these functions do nothing.
//
// Note: [Lanes]
// A CUDA device's executor has a few threads. Each has its own stream from libtorch's pool: this is a lane.
// The lane that takes a request runs the host-to-device copy, the computation and the device-to-host copy on
// its stream. It waits for the stream and then completes the request. So the copies of one request overlap
// the computation of others. A request's memory is allocated and freed on one stream. The results are
// complete when JavaScript gets them, so no events or dependencies between requests are needed.
#pragma once

#include <string>

#include "engine/error.hpp"
#include "engine/memory/device.hpp"
#include "engine/memory/storage.hpp"

namespace tokenlearner {

/// Gives this thread its own stream on a CUDA device. False if that failed: then the thread shares the
/// default stream, which is slower but correct.
bool adopt_stream(Device device) noexcept;

/// Waits for this thread's stream. Throws ERR_DEVICE_LOST, ERR_OUT_OF_MEMORY or ERR_LIBTORCH if work on it
/// failed.
void synchronize(Device device);

/// Waits for the device's default stream, on which compiled programs copy their weights: this thread's stream does not wait for it.
/// Throws as synchronize() does.
void synchronize_default_stream(Device device);

/// Keeps host memory that a copy on this thread's stream uses, until this thread's next synchronize(device).
void keep_until_synchronized(Device device, const Storage& host);

/// This thread's stream: a cudaStream_t. Null for the CPU.
void* current_stream(Device device);

/// True if mark_lost() was called for the device. Any thread.
bool is_lost(Device device);

/// ERR_DEVICE_LOST of a device that is known: a run on several devices must not blame another one.
class DeviceLost : public Error {
 public:
  DeviceLost(Device device, const std::string& message)
      : Error(ErrorCode::ERR_DEVICE_LOST, message), device_(device) {}
  Device device() const { return device_; }

 private:
  Device device_;
};

/// Throws DeviceLost if mark_lost() was called for the device. Any thread.
void check_not_lost(Device device);

/// From now on every request for the device fails at once, instead of waiting for a broken context.
void mark_lost(Device device);

}  // namespace tokenlearner
