// The meaning of CUDA's errors, and calls on machines with and without a GPU: they return a status, never
// crash and print nothing.
#include "kernels/cuda/device.hpp"

#include <doctest.h>

#include <string>

#include "../stringify.hpp"
#include "gpu-runtime.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

// cudaError_t's numbers, which are stable.
constexpr int kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kInvalidConfiguration = 9,
              kInvalidDeviceFunction = 98, kInvalidKernelImage = 200, kNoKernelImage = 209, kInvalidPtx = 218,
              kJitCompilerNotFound = 221, kUnsupportedPtxVersion = 222, kJitCompilationDisabled = 223,
              kInvalidResourceHandle = 400, kIllegalAddress = 700, kLaunchOutOfResources = 701,
              kLaunchFailure = 719, kNotSupported = 801;

TEST_SUITE("cuda/device") {
  TEST_CASE("success and memory errors have faults of their own") {
    CHECK(classify(kSuccess) == Fault::none);
    CHECK(classify(kOutOfMemory) == Fault::out_of_memory);
    CHECK(classify(kNotSupported) == Fault::other);
  }

  TEST_CASE("a launch is refused where there is no code or too few resources for it") {
    for (int error :
         {kInvalidConfiguration, kInvalidDeviceFunction, kInvalidKernelImage, kNoKernelImage, kInvalidPtx,
          kJitCompilerNotFound, kUnsupportedPtxVersion, kJitCompilationDisabled, kLaunchOutOfResources}) {
      CAPTURE(error);
      CHECK(classify(error) == Fault::launch_refused);
    }
  }

  TEST_CASE("an argument that CUDA rejects is a mistake, and no refused launch") {
    for (int error : {kInvalidValue, kInvalidResourceHandle}) {
      CAPTURE(error);
      CHECK(classify(error) == Fault::other);
    }
  }

  TEST_CASE("errors of a running kernel lose the device") {
    for (int error : {kIllegalAddress, kLaunchFailure}) {
      CAPTURE(error);
      CHECK(classify(error) == Fault::device_lost);
    }
  }

  TEST_CASE("status_of keeps the last error") {
    CHECK(status_of(kSuccess) == Status::ok);
    CHECK(status_of(kOutOfMemory) == Status::out_of_memory);
    CHECK(last_error().fault == Fault::out_of_memory);
    CHECK(status_of(kIllegalAddress) == Status::device_error);
    CHECK(std::string(last_error().name) == "cudaErrorIllegalAddress");
  }

  TEST_CASE("without a device every call returns an error") {
    const Probe found = probe();
    CHECK(found.runtime_version >= 12000);
    if (found.device_count > 0) return;
    DeviceProperties properties;
    void* memory = nullptr;
    CHECK(device_properties(0, &properties) == Status::device_error);
    CHECK(allocate_device(4096, &memory) == Status::device_error);
    CHECK(create_stream(&memory) == Status::device_error);
    CHECK(last_error().code != 0);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
