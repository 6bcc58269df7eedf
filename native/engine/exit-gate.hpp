#pragma once

namespace tokenlearner {

// Note: [Leaving while a forward runs]
// exit() destroys libtorch's static objects while an executor may still compute with them, which crashes. So
// the process waits: Node's environments close their executors from their clean-up hook and from the 'exit'
// event; and whatever calls exit() past Node finds this gate, which lets no other job start and waits for
// those that run. On the main thread it is a thread-local object: exit() destroys those before any static
// object, also before those that an operator made at its first use, later than any handler of ours. On other
// threads it is an exit handler, registered after libtorch's own and so run before them.

/// Held by an executor while a job runs.
class ExitGate {
 public:
  /// Registers the exit handler: after each library whose static objects jobs use, since handlers run in
  /// reverse order.
  static void install();
  /// On the process's main thread, whatever exit() is called there waits for jobs first of all. Idempotent.
  static void guard_main_thread();

  ExitGate();
  ~ExitGate();
  ExitGate(const ExitGate&) = delete;
  ExitGate& operator=(const ExitGate&) = delete;

  /// False when the process is exiting: then the job must not run.
  bool open() const { return open_; }

 private:
  bool open_ = false;
};

}  // namespace tokenlearner
