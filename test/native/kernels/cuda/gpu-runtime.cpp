#include "gpu-runtime.hpp"

#include <cuda_runtime_api.h>

#include <cstring>

namespace tokenlearner::kernels::cuda::test {
namespace {

cudaStream_t as_stream(void* stream) { return static_cast<cudaStream_t>(stream); }
cudaEvent_t as_event(void* event) { return static_cast<cudaEvent_t>(event); }

}  // namespace

Probe probe() {
  Probe result;
  if (cudaDriverGetVersion(&result.driver_version) != cudaSuccess) result.driver_version = 0;
  if (cudaRuntimeGetVersion(&result.runtime_version) != cudaSuccess) result.runtime_version = 0;
  const cudaError_t error = cudaGetDeviceCount(&result.device_count);
  if (status_of(error) != Status::ok) result.device_count = 0;
  result.error_text = cudaGetErrorString(error);
  return result;
}

Status describe_device(int device, DeviceDescription* description) {
  cudaDeviceProp found;
  const Status status = status_of(cudaGetDeviceProperties(&found, device));
  if (status != Status::ok) return status;
  std::memcpy(description->name, found.name, sizeof(description->name));
  description->name[sizeof(description->name) - 1] = '\0';
  return device_properties(device, &description->properties);
}

Status set_device(int device) { return status_of(cudaSetDevice(device)); }

Status allocate_device(std::size_t bytes, void** memory) { return status_of(cudaMalloc(memory, bytes)); }
Status free_device(void* memory) { return status_of(cudaFree(memory)); }

Status copy_async(void* target, const void* source, std::size_t bytes, CopyKind kind, void* stream) {
  const cudaMemcpyKind direction =
      kind == CopyKind::host_to_device ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost;
  return status_of(cudaMemcpyAsync(target, source, bytes, direction, as_stream(stream)));
}

Status create_stream(void** stream) {
  return status_of(cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t*>(stream), cudaStreamNonBlocking));
}
Status destroy_stream(void* stream) { return status_of(cudaStreamDestroy(as_stream(stream))); }
Status synchronize_stream(void* stream) { return status_of(cudaStreamSynchronize(as_stream(stream))); }

Status create_event(void** event) {
  return status_of(cudaEventCreate(reinterpret_cast<cudaEvent_t*>(event)));
}
Status destroy_event(void* event) { return status_of(cudaEventDestroy(as_event(event))); }
Status record_event(void* event, void* stream) {
  return status_of(cudaEventRecord(as_event(event), as_stream(stream)));
}
Status synchronize_event(void* event) { return status_of(cudaEventSynchronize(as_event(event))); }
Status elapsed_milliseconds(void* start, void* end, float* milliseconds) {
  return status_of(cudaEventElapsedTime(milliseconds, as_event(start), as_event(end)));
}

}  // namespace tokenlearner::kernels::cuda::test
