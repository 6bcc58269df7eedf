#include "kernels/cuda/device.hpp"

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>

namespace tokenlearner::kernels::cuda {
namespace {

// Each thread sees only the errors of its own calls, as with errno.
thread_local cudaError_t last_error_code = cudaSuccess;

Availability availability_of(cudaError_t error, int driver_version) {
  switch (error) {
    case cudaSuccess:
      return Availability::available;
    case cudaErrorInsufficientDriver:
      // The CUDA runtime also returns this without any driver; then it reports version 0.
      return driver_version == 0 ? Availability::no_driver : Availability::driver_too_old;
    case cudaErrorNoDevice:
      // The user hides devices with this variable.
      return std::getenv("CUDA_VISIBLE_DEVICES") != nullptr ? Availability::no_visible_device
                                                            : Availability::no_device;
    case cudaErrorMemoryAllocation:
      return Availability::out_of_memory;
    default:
      return Availability::driver_error;
  }
}

cudaStream_t as_stream(void* stream) { return static_cast<cudaStream_t>(stream); }
cudaEvent_t as_event(void* event) { return static_cast<cudaEvent_t>(event); }

}  // namespace

const char* name_of(Availability availability) {
  switch (availability) {
    case Availability::available:
      return "available";
    case Availability::no_driver:
      return "no-driver";
    case Availability::driver_too_old:
      return "driver-too-old";
    case Availability::no_device:
      return "no-device";
    case Availability::no_visible_device:
      return "no-visible-device";
    case Availability::out_of_memory:
      return "out-of-memory";
    case Availability::driver_error:
      return "driver-error";
  }
  return "";
}

Probe probe() {
  Probe result;
  if (cudaDriverGetVersion(&result.driver_version) != cudaSuccess) result.driver_version = 0;
  if (cudaRuntimeGetVersion(&result.runtime_version) != cudaSuccess) result.runtime_version = 0;
  cudaError_t error = cudaGetDeviceCount(&result.device_count);
  if (error == cudaSuccess && result.device_count == 0) error = cudaErrorNoDevice;
  if (error != cudaSuccess) {
    result.device_count = 0;
    cudaGetLastError();
  }
  result.availability = availability_of(error, result.driver_version);
  result.error = error;
  result.error_text = cudaGetErrorString(error);
  return result;
}

Status describe_device(int device, DeviceDescription* description) {
  cudaDeviceProp properties;
  const Status status = status_of(cudaGetDeviceProperties(&properties, device));
  if (status != Status::ok) return status;
  description->properties = {properties.major, properties.minor, properties.multiProcessorCount,
                             properties.sharedMemPerBlockOptin};
  std::memcpy(description->name, properties.name, sizeof(description->name));
  description->name[sizeof(description->name) - 1] = '\0';
  description->total_memory = properties.totalGlobalMem;
  return Status::ok;
}

Fault classify(int error) {
  switch (error) {
    case cudaSuccess:
      return Fault::none;
    case cudaErrorMemoryAllocation:
      return Fault::out_of_memory;
    case cudaErrorInvalidConfiguration:
    case cudaErrorLaunchOutOfResources:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorJitCompilerNotFound:
    case cudaErrorInvalidValue:
    case cudaErrorInvalidResourceHandle:
      return Fault::launch_refused;
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorExternalDevice:
    case cudaErrorUnknown:
      return Fault::device_lost;
    default:
      return Fault::other;
  }
}

Status status_of(int error) {
  if (error == cudaSuccess) return Status::ok;
  last_error_code = static_cast<cudaError_t>(error);
  // Clear the error, or the check of the next call would see it. A sticky error cannot be cleared.
  cudaGetLastError();
  return classify(error) == Fault::out_of_memory ? Status::out_of_memory : Status::device_error;
}

LastError last_error() {
  return {last_error_code, classify(last_error_code), cudaGetErrorName(last_error_code),
          cudaGetErrorString(last_error_code)};
}

Status set_device(int device) { return status_of(cudaSetDevice(device)); }

Status allocate_pinned(std::size_t bytes, void** memory) {
  return status_of(cudaHostAlloc(memory, bytes, cudaHostAllocPortable));
}
Status free_pinned(void* memory) { return status_of(cudaFreeHost(memory)); }
Status allocate_device(std::size_t bytes, void** memory) { return status_of(cudaMalloc(memory, bytes)); }
Status free_device(void* memory) { return status_of(cudaFree(memory)); }

Status copy_async(void* target, const void* source, std::size_t bytes, CopyKind kind, void* stream) {
  const cudaMemcpyKind direction = kind == CopyKind::host_to_device   ? cudaMemcpyHostToDevice
                                   : kind == CopyKind::device_to_host ? cudaMemcpyDeviceToHost
                                                                      : cudaMemcpyDeviceToDevice;
  return status_of(cudaMemcpyAsync(target, source, bytes, direction, as_stream(stream)));
}

Status create_stream(void** stream) {
  return status_of(cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t*>(stream), cudaStreamNonBlocking));
}
Status destroy_stream(void* stream) { return status_of(cudaStreamDestroy(as_stream(stream))); }
Status synchronize_stream(void* stream) { return status_of(cudaStreamSynchronize(as_stream(stream))); }

Status create_event(bool timed, void** event) {
  const unsigned flags = timed ? cudaEventDefault : cudaEventDisableTiming;
  return status_of(cudaEventCreateWithFlags(reinterpret_cast<cudaEvent_t*>(event), flags));
}
Status destroy_event(void* event) { return status_of(cudaEventDestroy(as_event(event))); }
Status record_event(void* event, void* stream) {
  return status_of(cudaEventRecord(as_event(event), as_stream(stream)));
}
Status wait_event(void* stream, void* event) {
  return status_of(cudaStreamWaitEvent(as_stream(stream), as_event(event), 0));
}

Status query_event(void* event, bool* done) {
  const cudaError_t error = cudaEventQuery(as_event(event));
  *done = error == cudaSuccess;
  if (error != cudaErrorNotReady) return status_of(error);
  // This is no error, but the CUDA runtime stores it as one.
  cudaGetLastError();
  return Status::ok;
}

Status synchronize_event(void* event) { return status_of(cudaEventSynchronize(as_event(event))); }
Status elapsed_milliseconds(void* start, void* end, float* milliseconds) {
  return status_of(cudaEventElapsedTime(milliseconds, as_event(start), as_event(end)));
}

}  // namespace tokenlearner::kernels::cuda
