#pragma once

namespace tokenlearner {

// Note: [Leaving while a forward runs]
// exit() destroys libtorch's static objects while an executor may still compute with them, which crashes. So
// the process waits: Node's environments close their executors from their clean-up hook and from the 'exit'
// event; and whatever calls exit() past Node finds this gate, whose exit handler is registered after
// libtorch's own and so runs before them: it waits for the jobs that run and lets no other start.

/// Held by an executor while a job runs.
class ExitGate {
 public:
  /// Registers the exit handler: after each library whose static objects jobs use, since handlers run in
  /// reverse order.
  static void install();

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
