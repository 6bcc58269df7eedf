// When a kernel's limit of shared memory is raised.
#include "kernels/cuda/shared-limit.hpp"

#include <doctest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace tokenlearner::kernels::cuda::test {
namespace {

/** A device with that much shared memory. `status` is the answer to the next calls. */
struct Device {
  std::size_t most = 1000;
  Status status = Status::ok;
  std::atomic<int> raises = 0;

  Status ensure(SharedLimit& limit, int number, std::size_t needed) {
    return limit.ensure(number, needed, [this](std::size_t bytes, std::size_t* stored) {
      ++raises;
      *stored = most;
      return bytes > most ? Status::device_error : status;
    });
  }
};

TEST_SUITE("cuda/shared-limit") {
  TEST_CASE("the limit is raised once, whatever later launches need") {
    SharedLimit limit;
    Device device;
    for (const std::size_t needed : {100, 1000, 1, 1000})
      CHECK(device.ensure(limit, 0, needed) == Status::ok);
    CHECK(device.raises == 1);
  }

  TEST_CASE("each kernel and each device is raised on its own") {
    SharedLimit first, second;
    Device device;
    for (SharedLimit* limit : {&first, &second, &first, &second}) {
      for (const int number : {0, 1, SharedLimit::kDevices - 1})
        CHECK(device.ensure(*limit, number, 100) == Status::ok);
    }
    CHECK(device.raises == 6);
  }

  TEST_CASE("a failure is not remembered, and a later success is") {
    SharedLimit limit;
    Device device;
    device.status = Status::out_of_memory;
    CHECK(device.ensure(limit, 0, 100) == Status::out_of_memory);
    CHECK(device.ensure(limit, 0, 100) == Status::out_of_memory);
    device.status = Status::ok;
    CHECK(device.ensure(limit, 0, 100) == Status::ok);
    CHECK(device.ensure(limit, 0, 100) == Status::ok);
    CHECK(device.raises == 3);
  }

  TEST_CASE("more than the maximum is refused each time, before and after a success") {
    SharedLimit limit;
    Device device;
    CHECK(device.ensure(limit, 0, 1001) == Status::device_error);
    CHECK(device.ensure(limit, 0, 1000) == Status::ok);
    CHECK(device.ensure(limit, 0, 1001) == Status::device_error);
    CHECK(device.ensure(limit, 0, 1000) == Status::ok);
    CHECK(device.raises == 3);
  }

  TEST_CASE("devices beyond the table are raised at each launch") {
    SharedLimit limit;
    Device device;
    for (const int number : {-1, SharedLimit::kDevices, SharedLimit::kDevices, SharedLimit::kDevices + 1})
      CHECK(device.ensure(limit, number, 100) == Status::ok);
    CHECK(device.raises == 4);
  }

  TEST_CASE("threads that launch at the same time all find it raised") {
    SharedLimit limit;
    Device device;
    std::atomic<int> failures = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int j = 0; j < 1000; ++j) failures += device.ensure(limit, 0, 100) == Status::ok ? 0 : 1;
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(failures == 0);
    CHECK(device.raises <= 4);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
