// The child of fork() has one thread, and the locks of the others as they were: its allocations must not wait for them.
#include <doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include "engine/memory/host-blocks.hpp"
#include "engine/memory/small-blocks.hpp"
#include "platform/process-wide.hpp"

using namespace tokenlearner;
using namespace std::chrono_literals;

namespace {

void allocate_much() {
  void* small[3 * kBatch];
  for (void*& block : small) block = allocate_small(64);
  for (void* block : small) free_small(block, 64);
  for (int i = 0; i < 20; ++i) free_block(allocate_block(4096, false), 4096);
}

/// True if a child process that does this ends by itself.
bool child_ends(void (*work)()) {
  const pid_t child = fork();
  if (child == 0) {
    work();
    _exit(0);
  }
  for (const auto end = std::chrono::steady_clock::now() + 30s; std::chrono::steady_clock::now() < end;) {
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child) return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    std::this_thread::sleep_for(1ms);
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return false;
}

std::atomic<bool> is_being_made = false;

struct Slow {
  Slow() {
    is_being_made = true;
    std::this_thread::sleep_for(100ms);
  }
};

}  // namespace

TEST_SUITE_BEGIN("engine/fork");

TEST_CASE("a child of a process whose thread is making what all threads share can make its own") {
  std::thread thread([] { platform::ProcessWide<Slow>::get(); });
  while (!is_being_made) std::this_thread::yield();
  CHECK(child_ends([] { platform::ProcessWide<Slow>::get(); }));
  thread.join();
}

TEST_CASE("a child of a process whose threads allocate can allocate too") {
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!stop) allocate_much();
    });
  }
  int ended = 0;
  while (ended < 100 && child_ends(allocate_much)) ++ended;
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(ended == 100);
}

TEST_SUITE_END();
