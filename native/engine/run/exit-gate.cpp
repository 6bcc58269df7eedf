#include "engine/run/exit-gate.hpp"

#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "platform/process-wide.hpp"

namespace tokenlearner {

namespace {

struct State {
  std::mutex mutex;
  std::condition_variable idle;
  int running = 0;
  bool exiting = false;
};

/// Exit handlers and the executors of other environments may use it until the process ends. The child of fork() has no request that runs.
State& state() { return platform::ProcessWide<State>::get(); }

void wait_for_requests() {
  State& s = state();
  std::unique_lock lock(s.mutex);
  s.exiting = true;
  s.idle.wait(lock, [&s] { return s.running == 0; });
}

struct WaitsWhenDestroyed {
  ~WaitsWhenDestroyed() { wait_for_requests(); }
};

}  // namespace

void ExitGate::guard_main_thread() {
  if (!platform::is_main_thread()) return;
  thread_local const WaitsWhenDestroyed guard;
  static_cast<void>(guard);
}

void ExitGate::install() {
  if (!platform::kThreadsOutliveExit) return;
  // If no handler can be added, there is still the 'exit' event.
  static_cast<void>(std::atexit(wait_for_requests));
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
