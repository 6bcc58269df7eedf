// The runtime helpers, on machines with and without a GPU: an answer, never a crash, and nothing on the
// terminal.
#include "kernels/cuda/device.hpp"

#include <cstring>
#include <initializer_list>

#include "check.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

// cudaError_t's numbers, which are stable.
constexpr int kSuccess = 0, kInvalidValue = 1, kOutOfMemory = 2, kInvalidConfiguration = 9,
              kNoKernelImage = 209, kIllegalAddress = 700, kLaunchOutOfResources = 701, kLaunchFailure = 719,
              kNotSupported = 801;

void check_faults() {
  CHECK(classify(kSuccess) == Fault::none, "success");
  CHECK(classify(kOutOfMemory) == Fault::out_of_memory, "out of memory");
  for (int error : {kInvalidValue, kInvalidConfiguration, kNoKernelImage, kLaunchOutOfResources}) {
    CHECK(classify(error) == Fault::launch_refused, "%d", error);
  }
  for (int error : {kIllegalAddress, kLaunchFailure})
    CHECK(classify(error) == Fault::device_lost, "%d", error);
  CHECK(classify(kNotSupported) == Fault::other, "not supported");
  CHECK(status_of(kSuccess) == Status::ok, "success");
  CHECK(status_of(kOutOfMemory) == Status::out_of_memory, "out of memory");
  CHECK(last_error().fault == Fault::out_of_memory, "remembered");
  CHECK(status_of(kIllegalAddress) == Status::device_error, "illegal address");
  CHECK(std::strcmp(last_error().name, "cudaErrorIllegalAddress") == 0, "%s", last_error().name);
}

void check_probe() {
  const Probe first = probe();
  const Probe second = probe();
  std::printf("%s: %s (driver %d, runtime %d, %d devices)\n", name_of(first.availability), first.error_text,
              first.driver_version, first.runtime_version, first.device_count);
  CHECK(first.availability == second.availability, "two probes disagree");
  CHECK(first.runtime_version >= 12000, "%d", first.runtime_version);
  CHECK((first.availability == Availability::available) == (first.device_count > 0), "%d",
        first.device_count);
  if (first.device_count > 0) return;
  // Without a device every call fails as a status.
  DeviceDescription description;
  void* memory = nullptr;
  CHECK(describe_device(0, &description) == Status::device_error, "describe_device");
  CHECK(allocate_pinned(4096, &memory) == Status::device_error, "allocate_pinned");
  CHECK(allocate_device(4096, &memory) == Status::device_error, "allocate_device");
  CHECK(create_stream(&memory) == Status::device_error, "create_stream");
  CHECK(last_error().code != 0, "remembered");
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test

int main() {
  tokenlearner::kernels::cuda::test::check_faults();
  tokenlearner::kernels::cuda::test::check_probe();
  return tokenlearner::kernels::cuda::test::failures();
}
