// The runtime helpers, on machines with and without a GPU: they return a status, never crash and print
// nothing.
#include "kernels/cuda/device.hpp"

#include <doctest.h>

#include <string>

#include "../stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

// cudaError_t's numbers, which are stable.
constexpr int kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kInvalidConfiguration = 9,
              kNoKernelImage = 209, kIllegalAddress = 700, kLaunchOutOfResources = 701, kLaunchFailure = 719,
              kNotSupported = 801;

TEST_SUITE("cuda/device") {
  TEST_CASE("success and memory errors have faults of their own") {
    CHECK(classify(kSuccess) == Fault::none);
    CHECK(classify(kOutOfMemory) == Fault::out_of_memory);
    CHECK(classify(kNotSupported) == Fault::other);
  }

  TEST_CASE("errors of a launch are refused launches") {
    for (int error : {kInvalidValue, kInvalidConfiguration, kNoKernelImage, kLaunchOutOfResources}) {
      CAPTURE(error);
      CHECK(classify(error) == Fault::launch_refused);
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

  TEST_CASE("probe") {
    const Probe first = probe();
    const Probe second = probe();
    const std::string availability = name_of(first.availability), error_text = first.error_text;
    MESSAGE(availability, ": ", error_text, " (driver ", first.driver_version, ", runtime ",
            first.runtime_version, ", ", first.device_count, " devices)");
    CHECK(first.availability == second.availability);
    CHECK(first.runtime_version >= 12000);
    CHECK((first.availability == Availability::available) == (first.device_count > 0));
  }

  TEST_CASE("without a device every call returns an error") {
    if (probe().device_count > 0) return;
    DeviceDescription description;
    void* memory = nullptr;
    CHECK(describe_device(0, &description) == Status::device_error);
    CHECK(allocate_pinned(4096, &memory) == Status::device_error);
    CHECK(allocate_device(4096, &memory) == Status::device_error);
    CHECK(create_stream(&memory) == Status::device_error);
    CHECK(last_error().code != 0);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
