// This thread's CUDA stream, and what a device does after an error that it cannot recover from. On the CPU:
// nothing.
//
// Note: [Lanes]
// A CUDA device's executor has a few threads, each with a stream of its own from libtorch's pool: its lane. A
// job does its host-to-device copy, its computation and its device-to-host copy on the stream of the lane
// that took it, waits for that stream, and settles. So the copies of one request overlap the computation of
// others, a request's memory is allocated and freed on one stream, and what JavaScript gets is always
// complete: no event or dependency between requests is needed.
#pragma once

#include "engine/device.hpp"

namespace tokenlearner {

/// Gives this thread a stream of its own on a CUDA device. False where that failed: the thread then shares
/// the default stream, which is slower and right.
bool adopt_stream(Device device) noexcept;

/// Waits for this thread's stream. Throws ERR_DEVICE_LOST, ERR_OUT_OF_MEMORY or ERR_LIBTORCH for what failed
/// on it.
void synchronize(Device device);

/// This thread's stream, a cudaStream_t.
void* current_stream(Device device);

/// Whether mark_lost was called for the device. Any thread.
bool is_lost(Device device);

/// Throws ERR_DEVICE_LOST once mark_lost was called for the device. Any thread.
void check_not_lost(Device device);

/// From now on every request for the device fails, instead of waiting on a broken context.
void mark_lost(Device device);

}  // namespace tokenlearner
