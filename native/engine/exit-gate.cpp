#include "engine/exit-gate.hpp"

#include <condition_variable>
#include <cstdlib>
#include <mutex>

namespace tokenlearner {

namespace {

struct State {
  std::mutex mutex;
  std::condition_variable idle;
  int running = 0;
  bool exiting = false;
};

/// Never destroyed: exit handlers and executors of other environments may use it to the very end.
State& state() {
  static State* const instance = new State;
  return *instance;
}

void wait_for_jobs() {
  State& s = state();
  std::unique_lock lock(s.mutex);
  s.exiting = true;
  s.idle.wait(lock, [&s] { return s.running == 0; });
}

}  // namespace

void ExitGate::install() {
  // Without room for a handler there is still the 'exit' event.
  static_cast<void>(std::atexit(wait_for_jobs));
}

ExitGate::ExitGate() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  open_ = !s.exiting;
  if (open_) ++s.running;
}

ExitGate::~ExitGate() {
  if (!open_) return;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (--s.running == 0) s.idle.notify_all();
}

}  // namespace tokenlearner
