// The threads of a thread block as fibers of one host thread: deterministic, and a deadlock is detected.
// Use no doctest macro inside a fiber: it keeps its context per host thread, and fibers interleave.
#pragma once

#include <ucontext.h>

#include <csetjmp>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <vector>

namespace tokenlearner::kernels::cuda::test {

/** Runs `count` functions in turn; each hands over with yield(). */
class Fibers {
 public:
  /** `idle` is called when all fibers have waited in vain; false means that nothing more will come. */
  Fibers(int count, std::function<void(int)> body, std::function<bool()> idle);
  ~Fibers();
  Fibers(const Fibers&) = delete;
  Fibers& operator=(const Fibers&) = delete;

  /** False on a deadlock: every fiber waits. Throws the first exception of a fiber. */
  bool run();

  /** From within a fiber: returns when `ready()` holds. */
  template <typename Ready>
  void wait_until(Ready ready) {
    while (!ready()) yield();
    progress_ = true;
  }

  /** From within a fiber: lets all others go on for a round. */
  void pause() {
    progress_ = true;
    yield();
  }

 private:
  static constexpr std::size_t kStackBytes = 128 * 1024;

  struct Fiber {
    /** Where it starts. */
    ucontext_t context;
    /** Where it goes on. */
    std::jmp_buf place;
    std::unique_ptr<char[]> stack;
    bool started = false;
    bool finished = false;
  };

  static void enter(unsigned high, unsigned low);
  /** From the scheduler: until the fiber yields or ends. */
  void resume(Fiber& fiber);
  void yield();
  /** Runs each unfinished fiber once. False if none could go on. */
  bool run_round();

  std::vector<Fiber> fibers_;
  std::function<void(int)> body_;
  std::function<bool()> idle_;
  std::jmp_buf scheduler_ = {};
  int current_ = 0;
  bool progress_ = false;
  std::exception_ptr failure_;
};

}  // namespace tokenlearner::kernels::cuda::test
