// The calls of the operating system, on the system that the tests run on.
#include "platform/platform.hpp"

#include <doctest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#if defined(__linux__)
#include <sched.h>
#include <sys/prctl.h>
#endif

namespace {

namespace platform = tokenlearner::platform;

/** Uses `kilobytes` of the stack, one page after the other. */
std::size_t use_stack(std::size_t kilobytes) {
  volatile char page[1024];
  page[0] = 1;
  page[sizeof page - 1] = 1;
  return kilobytes == 0 ? 0 : use_stack(kilobytes - 1) + static_cast<std::size_t>(page[0]);
}

}  // namespace

TEST_SUITE("platform/platform") {
  TEST_CASE("an environment variable is its value, or empty") {
    REQUIRE(platform::environment_variable("PATH"));
    CHECK_FALSE(platform::environment_variable("PATH")->empty());
    CHECK_FALSE(platform::environment_variable("TOKENLEARNER_NO_SUCH_VARIABLE"));
  }

  TEST_CASE("a path keeps its UTF-8") {
    const std::string text = "caf\xc3\xa9/\xe6\xbc\xa2";
    CHECK(platform::text_of(platform::path_from(text)) == text);
  }

  TEST_CASE("a library that does not exist is null, and a problem that names it or its error") {
    std::string problem;
    CHECK(platform::open_library(platform::path_from("no-such-library-of-ours"), problem) == nullptr);
    CHECK_FALSE(problem.empty());
  }

  TEST_CASE("a library that is not loaded has no folder") {
    CHECK(platform::folder_of_loaded(platform::library_file("no_such_library")) == "");
  }

  TEST_CASE("mapped pages are zero and can be written") {
    const std::size_t bytes = 3 * platform::page_size();
    REQUIRE(platform::page_size() >= 4096);
    auto* const base = static_cast<unsigned char*>(platform::map_pages(bytes));
    REQUIRE(base != nullptr);
    CHECK(std::all_of(base, base + bytes, [](unsigned char byte) { return byte == 0; }));
    std::memset(base, 0xab, bytes);
    platform::unmap_pages(base, bytes);
  }

  TEST_CASE("pages that no machine has are null") {
    CHECK(platform::map_pages((~std::size_t{0} >> 2) / platform::page_size() * platform::page_size()) ==
          nullptr);
  }

  TEST_CASE("aligned memory is aligned") {
    for (const std::size_t alignment : {64u, 4096u}) {
      void* const memory = platform::allocate_aligned(alignment, 2 * alignment);
      REQUIRE(memory != nullptr);
      CHECK(reinterpret_cast<std::uintptr_t>(memory) % alignment == 0);
      platform::free_aligned(memory);
    }
    platform::free_aligned(nullptr);
  }

  TEST_CASE("a thread runs once, with its argument, and has the stack that it was promised") {
    // musl's default of 128 KB would end the process here.
    std::size_t used = 0;
    platform::ThreadHandle thread;
    REQUIRE(platform::start_thread(
        thread,
        [](void* result) {
          *static_cast<std::size_t*>(result) = use_stack(platform::kStackBytes / 1024 / 2);
        },
        &used));
    platform::join_thread(thread);
    CHECK(used == platform::kStackBytes / 1024 / 2);
  }

#if defined(__linux__)
  TEST_CASE("a batch thread is one to the system; a thread with a class of its own keeps it") {
    struct Classes {
      int batch = -1;
      int idle = -1;
      bool allowed = false;
    } classes;
    const auto run = [](void* argument) {
      auto& seen = *static_cast<Classes*>(argument);
      const sched_param none{};
      // Not under a filter of system calls, nor in a sandbox that has no classes.
      seen.allowed = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0 &&
                     sched_setscheduler(0, SCHED_BATCH, &none) == 0 && sched_getscheduler(0) == SCHED_BATCH &&
                     sched_setscheduler(0, SCHED_OTHER, &none) == 0;
      if (!seen.allowed) return;
      platform::become_batch_thread();
      seen.batch = sched_getscheduler(0);
      sched_setscheduler(0, SCHED_IDLE, &none);
      platform::become_batch_thread();
      seen.idle = sched_getscheduler(0);
    };
    platform::ThreadHandle thread;
    REQUIRE(platform::start_thread(thread, run, &classes));
    platform::join_thread(thread);
    if (!classes.allowed) return;
    CHECK(classes.batch == SCHED_BATCH);
    CHECK(classes.idle == SCHED_IDLE);
    CHECK(sched_getscheduler(0) == SCHED_OTHER);
  }
#endif

  TEST_CASE("other threads are not the main thread") {
    CHECK(platform::is_main_thread() == platform::kThreadsOutliveExit);
    bool is_main = true;
    platform::ThreadHandle thread;
    REQUIRE(platform::start_thread(
        thread, [](void* result) { *static_cast<bool*>(result) = platform::is_main_thread(); }, &is_main));
    platform::join_thread(thread);
    CHECK_FALSE(is_main);
  }

  TEST_CASE("the processor has cores, time, and caches that grow with their level") {
    CHECK(platform::usable_cores().count >= 1);
    CHECK(platform::cpu_quota().cpus > 0);
    // 0 where the system does not tell, as in an emulator.
    const std::size_t level1 = platform::cache_bytes(1);
    const std::size_t level2 = platform::cache_bytes(2);
    if (level1 > 0) CHECK(level1 >= 4096);
    if (level2 > 0) CHECK(level2 >= level1);
  }
}
