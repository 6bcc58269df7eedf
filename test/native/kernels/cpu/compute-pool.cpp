// The pool runs every task once, never lets more threads work than it has permits, takes many callers, and
// ends without a hang.
#include "kernels/cpu/compute-pool.hpp"

#include <doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace {

using namespace tokenlearner::kernels;

/** Raises `most` to `value`. Any thread. */
void raise_to(std::atomic<int>& most, int value) {
  int seen = most;
  while (value > seen && !most.compare_exchange_weak(seen, value)) {
  }
}

/**
 * Callers with jobs of many small tasks. The tasks yield, so that more threads than cores can be at work.
 * They only count: the checks run on the test's own thread.
 */
void check_permits(int permits, int max_threads, int callers) {
  ComputePool pool(permits);
  // All helpers exist, whatever the jobs to come may use.
  pool.run(permits, permits, [](std::int64_t) {});
  std::atomic<int> at_work = 0, most_at_work = 0, most_in_one_job = 0;
  std::atomic<std::int64_t> total = 0;
  const auto caller = [&] {
    for (int job = 0; job < 100; ++job) {
      std::atomic<int> in_job = 0;
      pool.run(20, max_threads, [&](std::int64_t task) {
        raise_to(most_at_work, ++at_work);
        raise_to(most_in_one_job, ++in_job);
        for (int i = 0; i < 4; ++i) std::this_thread::yield();
        total += task;
        --in_job;
        --at_work;
      });
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < callers; ++i) threads.emplace_back(caller);
  for (std::thread& thread : threads) thread.join();
  CHECK(most_in_one_job.load() <= max_threads);
  CHECK(most_at_work.load() <= permits);
  // No task was lost or done twice.
  CHECK(total.load() == std::int64_t{190} * 100 * callers);
}

}  // namespace

TEST_SUITE("kernels/compute-pool") {
  TEST_CASE("every task runs once") {
    ComputePool pool(4);
    for (const std::int64_t count : {0, 1, 3, 1000}) {
      CAPTURE(count);
      for (int threads = 0; threads <= 6; ++threads) {
        CAPTURE(threads);
        std::vector<std::atomic<int>> done(static_cast<std::size_t>(count));
        pool.run(count, threads, [&](std::int64_t task) { ++done[static_cast<std::size_t>(task)]; });
        for (const auto& times : done) CHECK(times.load() == 1);
      }
    }
  }

  TEST_CASE("no more threads work than there are permits") {
    for (const int permits : {1, 2, 4}) {
      CAPTURE(permits);
      for (const int callers : {1, permits - 1, permits, 2 * permits}) {
        CAPTURE(callers);
        check_permits(permits, 1, callers);
        check_permits(permits, permits, callers);
      }
    }
  }

  TEST_CASE("a new limit counts for the runs that start later") {
    ComputePool pool(4);
    for (const int limit : {1, 3, 6, 2}) {
      CAPTURE(limit);
      pool.set_threads(limit);
      CHECK(pool.threads() == limit);
      std::atomic<int> at_work = 0, most = 0;
      std::vector<std::thread> callers;
      for (int i = 0; i < 3; ++i) {
        callers.emplace_back([&] {
          for (int job = 0; job < 50; ++job) {
            pool.run(20, 8, [&](std::int64_t) {
              raise_to(most, ++at_work);
              for (int k = 0; k < 4; ++k) std::this_thread::yield();
              --at_work;
            });
          }
        });
      }
      for (std::thread& caller : callers) caller.join();
      CHECK(most.load() <= limit);
    }
  }

  TEST_CASE("limits that change during runs lose no task and no permit") {
    ComputePool pool(2);
    std::atomic<bool> done = false;
    std::atomic<std::int64_t> total = 0;
    std::thread changer([&] {
      for (int i = 0; !done; i = (i + 1) % 7) pool.set_threads(1 + i);
    });
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i) {
      callers.emplace_back([&] {
        for (int job = 0; job < 100; ++job) pool.run(20, 8, [&](std::int64_t task) { total += task; });
      });
    }
    for (std::thread& caller : callers) caller.join();
    done = true;
    changer.join();
    CHECK(total.load() == std::int64_t{190} * 100 * 4);
    // All permits came back: one caller and two helpers fit.
    pool.set_threads(3);
    std::atomic<int> arrived = 0;
    pool.run(3, 3, [&](std::int64_t) {
      ++arrived;
      while (arrived < 3) std::this_thread::yield();
    });
    CHECK(arrived.load() == 3);
  }

  TEST_CASE("a job stays within its own limit of threads") {
    check_permits(4, 2, 1);
    check_permits(4, 2, 2);
  }

  TEST_CASE("a pool can end right after its last job, while helpers spin, start or sleep") {
    for (int i = 0; i < 200; ++i) {
      ComputePool pool(3);
      std::atomic<int> done = 0;
      pool.run(3, 3, [&](std::int64_t) { ++done; });
      CHECK(done.load() == 3);
      if (i % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

#if !defined(__SANITIZE_THREAD__)  // ThreadSanitizer does not support threads in the child of fork().
  TEST_CASE("the child of fork() has none of the parent's helpers and still computes") {
    std::atomic<int> done = 0;
    ComputePool::shared().run(8, 8, [&](std::int64_t) { ++done; });
    const pid_t child = fork();
    if (child == 0) {
      std::atomic<int> mine = 0;
      ComputePool::shared().run(64, 8, [&](std::int64_t) { ++mine; });
      _exit(mine == 64 ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CAPTURE(status);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
  }
#endif
}
