// gpu-runtime.hpp on the host, as much of it as gpu-kernels.cpp needs. The device is an H100 whose memory is the
// host's.
#include <cstdlib>
#include <cstring>

#include "gpu-runtime.hpp"

namespace tokenlearner::kernels::cuda {

LastError last_error() { return {}; }

namespace test {

Probe probe() {
  Probe probe;
  probe.device_count = 1;
  return probe;
}

Status describe_device(int, DeviceDescription* description) {
  description->properties = {9, 0, 132, 232448};
  return Status::ok;
}

Status set_device(int) { return Status::ok; }

Status allocate_device(std::size_t bytes, void** memory) {
  // CUDA's own alignment.
  *memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  return *memory == nullptr ? Status::out_of_memory : Status::ok;
}

Status free_device(void* memory) {
  std::free(memory);
  return Status::ok;
}

Status copy_async(void* target, const void* source, std::size_t bytes, CopyKind, void*) {
  std::memcpy(target, source, bytes);
  return Status::ok;
}

Status create_stream(void** stream) {
  *stream = nullptr;
  return Status::ok;
}

Status destroy_stream(void*) { return Status::ok; }

Status synchronize_stream(void*) { return Status::ok; }

}  // namespace test
}  // namespace tokenlearner::kernels::cuda
