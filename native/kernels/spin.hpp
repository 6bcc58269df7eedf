// Busy waiting: the thread keeps its core.
#pragma once

#include <chrono>
#include <mutex>

namespace tokenlearner::kernels {

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/** Spins until done() is true, but no longer than `limit`. Returns done(). */
template <typename Condition>
bool spin_for(std::chrono::nanoseconds limit, const Condition& done) {
  const auto end = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return done();
}

/** Locks a mutex that each thread holds for microseconds: to sleep and be woken would take longer than to spin. */
inline std::unique_lock<std::mutex> lock_soon(std::mutex& mutex) {
  std::unique_lock lock(mutex, std::try_to_lock);
  if (!lock && !spin_for(std::chrono::microseconds(20), [&] { return lock.try_lock(); })) lock.lock();
  return lock;
}

}  // namespace tokenlearner::kernels
