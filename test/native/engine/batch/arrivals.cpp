#include "engine/batch/arrivals.hpp"

#include <doctest.h>

#include <atomic>
#include <thread>

namespace tokenlearner {

TEST_SUITE_BEGIN("engine/arrivals");

using namespace std::chrono_literals;

TEST_CASE("requests that come closely are a burst, until none has come for a while") {
  Arrivals arrivals;
  const Clock::time_point start = Clock::now();
  CHECK_FALSE(arrivals.is_burst(start));
  arrivals.add(start, 1);
  CHECK_FALSE(arrivals.is_burst(start));
  arrivals.add(start + 5us, 2);
  CHECK(arrivals.is_burst(start + 5us));
  CHECK(arrivals.is_burst(start + 15us));
  CHECK_FALSE(arrivals.is_burst(start + 1ms));
  arrivals.add(start + 2ms, 3);
  CHECK_FALSE(arrivals.is_burst(start + 2ms));
  arrivals.add(start + 2ms + 5us, 4);
  CHECK(arrivals.is_burst(start + 2ms + 5us));
}

TEST_CASE("the wait for a burst ends: without requests, with enough of them, and with requests without end") {
  Arrivals arrivals;
  arrivals.await_burst(16);
  const Clock::time_point start = Clock::now();
  for (std::size_t i = 0; i < 4; ++i) arrivals.add(start + std::chrono::microseconds(i), i + 1);
  arrivals.await_burst(4);
  arrivals.await_burst(16);
  std::atomic<bool> stop = false;
  std::thread submitter([&] {
    while (!stop) arrivals.add(Clock::now(), 1);
  });
  for (int i = 0; i < 100; ++i) arrivals.await_burst(16);
  stop = true;
  submitter.join();
}

TEST_SUITE_END();

}  // namespace tokenlearner
