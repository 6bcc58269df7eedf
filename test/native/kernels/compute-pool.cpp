// The pool: every task once, never more threads at work than permits, many callers, an end without a hang.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "support.hpp"

namespace {

using namespace test;

void check_every_task_once() {
  ComputePool pool(4);
  for (const std::int64_t count : {0, 1, 3, 1000}) {
    for (int threads = 0; threads <= 6; ++threads) {
      std::vector<std::atomic<int>> done(static_cast<std::size_t>(count));
      pool.run(count, threads, [&](std::int64_t task) { ++done[static_cast<std::size_t>(task)]; });
      for (const auto& times : done) CHECK(times == 1, "%d tasks on %d threads", int(count), threads);
    }
  }
}

/** Callers with jobs of many small tasks. The tasks yield, so that more threads than cores can be at work. */
void check_permits(int permits, int max_threads, int callers) {
  ComputePool pool(permits);
  // All helpers exist, whatever the jobs to come may use.
  pool.run(permits, permits, [](std::int64_t) {});
  std::atomic<int> at_work = 0, most = 0;
  std::atomic<std::int64_t> total = 0;
  const auto caller = [&] {
    for (int job = 0; job < 100; ++job) {
      std::atomic<int> in_job = 0;
      pool.run(20, max_threads, [&](std::int64_t task) {
        const int now = ++at_work;
        const int mine = ++in_job;
        CHECK(mine <= max_threads, "%d threads in one job", mine);
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
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
  CHECK(most <= permits, "%d at work, %d permits", most.load(), permits);
  CHECK(total == std::int64_t{190} * 100 * callers, "a task was lost or done twice");
}

/** Pools that end right after their last job, while helpers spin, start or sleep. */
void check_destruction() {
  for (int i = 0; i < 200; ++i) {
    ComputePool pool(3);
    std::atomic<int> done = 0;
    pool.run(3, 3, [&](std::int64_t) { ++done; });
    CHECK(done == 3, "%d", done.load());
    if (i % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/** The child of fork() has none of the parent's helpers and computes all the same. */
[[maybe_unused]] void check_fork() {
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
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}

}  // namespace

int main() {
  check_every_task_once();
  for (const int permits : {1, 2, 4}) {
    for (const int callers : {1, permits - 1, permits, 2 * permits}) {
      check_permits(permits, 1, callers);
      check_permits(permits, permits, callers);
    }
  }
  check_permits(4, 2, 1);
  check_permits(4, 2, 2);
  check_destruction();
#if !defined(__SANITIZE_THREAD__)  // which does not support threads in the child
  check_fork();
#endif
  return finish();
}
