#include "engine/batch/arrivals.hpp"

#include <doctest.h>

#include <thread>

namespace tokenlearner {

TEST_SUITE_BEGIN("engine/arrivals");

using namespace std::chrono_literals;

TEST_CASE("requests that come closely are a burst, until none has come for a while") {
  Arrivals arrivals;
  const Clock::time_point start = Clock::now();
  CHECK_FALSE(arrivals.is_burst(start));
  arrivals.add(start);
  CHECK_FALSE(arrivals.is_burst(start));
  arrivals.add(start + 5us);
  CHECK(arrivals.is_burst(start + 5us));
  CHECK(arrivals.is_burst(start + 15us));
  CHECK_FALSE(arrivals.is_burst(start + 1ms));
  arrivals.add(start + 2ms);
  CHECK_FALSE(arrivals.is_burst(start + 2ms));
  arrivals.add(start + 2ms + 5us);
  CHECK(arrivals.is_burst(start + 2ms + 5us));
}

TEST_CASE("the wait for a burst ends, with and without further requests") {
  Arrivals arrivals;
  arrivals.await_burst();
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < 4; ++i) arrivals.add(start + i * 1us);
  arrivals.await_burst();
  std::thread submitter([&] {
    for (int i = 0; i < 1000; ++i) arrivals.add(Clock::now());
  });
  for (int i = 0; i < 100; ++i) arrivals.await_burst();
  submitter.join();
}

TEST_SUITE_END();

}  // namespace tokenlearner
