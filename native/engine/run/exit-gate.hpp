#pragma once

namespace tokenlearner {

// Note: [Leaving while a forward runs]
// exit() destroys libtorch's static objects. If an executor still computes with them, the process crashes. So
// the process waits. Node environments close their executors in their clean-up hook and in the 'exit' event.
// For code that calls exit() without Node there is this gate: it lets no further request start and waits for
// those that run.
//
// If the main thread calls exit(), a thread-local object waits. exit() destroys thread-local objects before
// any static object, including those that an operator made at its first use, after our handlers were
// registered. If another thread calls exit(), an exit handler waits. It is registered after libtorch's
// handlers, so it runs before them.
//
// On Windows exit() ends all other threads before it calls the handlers of a shared library. Nothing computes
// then, and nothing waits.

/// An executor holds it while a request runs.
class ExitGate {
 public:
  /// Registers the exit handler. Must be called after loading each library whose static objects requests use:
  /// handlers run in reverse order.
  static void install();
  /// If called on the process's main thread, an exit() on that thread waits for running requests first.
  /// Idempotent.
  static void guard_main_thread();

  ExitGate();
  ~ExitGate();
  ExitGate(const ExitGate&) = delete;
  ExitGate& operator=(const ExitGate&) = delete;

  /// False if the process is exiting. Then the request must not run.
  bool open() const { return open_; }

 private:
  bool open_ = false;
};

}  // namespace tokenlearner
