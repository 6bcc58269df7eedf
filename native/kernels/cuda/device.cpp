#include "kernels/cuda/device.hpp"

#include <cuda_runtime_api.h>

namespace tokenlearner::kernels::cuda {
namespace {

// Each thread sees only the errors of its own calls, as with errno.
thread_local cudaError_t last_error_code = cudaSuccess;

}  // namespace

Status device_properties(int device, DeviceProperties* properties) {
  cudaDeviceProp found;
  const Status status = status_of(cudaGetDeviceProperties(&found, device));
  if (status == Status::ok) {
    *properties = {found.major, found.minor, found.multiProcessorCount, found.sharedMemPerBlockOptin};
  }
  return status;
}

Fault classify(int error) {
  switch (error) {
    case cudaSuccess:
      return Fault::none;
    case cudaErrorMemoryAllocation:
      return Fault::out_of_memory;
    // Too few resources.
    case cudaErrorInvalidConfiguration:
    case cudaErrorLaunchOutOfResources:
    // No code for the device.
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorNoKernelImageForDevice:
    // The driver is older than the code, or does not compile PTX for a device without code of its own.
    case cudaErrorInvalidKernelImage:
    case cudaErrorInvalidPtx:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorJitCompilerNotFound:
    case cudaErrorJitCompilationDisabled:
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

}  // namespace tokenlearner::kernels::cuda
