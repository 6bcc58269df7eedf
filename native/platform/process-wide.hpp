// What all threads share until the process ends, and the child of fork() makes anew.
#pragma once

#include <atomic>
#include <new>

#include "platform/platform.hpp"

namespace tokenlearner::platform {

/**
 * The T of this process. Never destroyed: threads may use it until the process ends. In the child of fork() a lock may be held by
 * a thread that it does not have, and what it guards be half changed: there it is a new T, and what the old one held is lost.
 */
template <typename T>
class ProcessWide {
 public:
  static T& get() {
    T* const instance = instance_.load(std::memory_order_acquire);
    return instance != nullptr ? *instance : make();
  }

 private:
  /** Without a lock: fork() may come in the middle, and its child would wait for a thread that it does not have. */
  static T& make() {
    // Before there is an instance. Several threads may do it: twice is as good as once.
    call_after_fork(renew);
    T* const made = new T;
    T* first = nullptr;
    if (instance_.compare_exchange_strong(first, made, std::memory_order_acq_rel)) return *made;
    delete made;
    return *first;
  }

  static void renew() {
    if (T* const instance = instance_.load(std::memory_order_relaxed)) ::new (instance) T;
  }

  static inline std::atomic<T*> instance_ = nullptr;
};

}  // namespace tokenlearner::platform
