// The CUDA runtime's calls that the programs on a GPU need. Each returns a status and stores its error for
// last_error().
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/device.hpp"

namespace tokenlearner::kernels::cuda::test {

struct Probe {
  /** 0 without a driver or a GPU. `error_text` has the reason. */
  int device_count = 0;
  /** In CUDA's notation: 13000 is 13.0. 0 if unknown. */
  int driver_version = 0;
  int runtime_version = 0;
  const char* error_text = "";
};
Probe probe();

struct DeviceDescription {
  DeviceProperties properties;
  char name[256] = "";
};
Status describe_device(int device, DeviceDescription* description);
Status set_device(int device);

/** On the current device. */
Status allocate_device(std::size_t bytes, void** memory);
Status free_device(void* memory);

enum class CopyKind : std::int8_t { host_to_device, device_to_host };
Status copy_async(void* target, const void* source, std::size_t bytes, CopyKind kind, void* stream);

/** A stream that does not wait for the legacy default stream. */
Status create_stream(void** stream);
Status destroy_stream(void* stream);
Status synchronize_stream(void* stream);

Status create_event(void** event);
Status destroy_event(void* event);
Status record_event(void* event, void* stream);
Status synchronize_event(void* event);
Status elapsed_milliseconds(void* start, void* end, float* milliseconds);

}  // namespace tokenlearner::kernels::cuda::test
