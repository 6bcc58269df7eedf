// What all threads share until the process ends, and the child of fork() makes anew.
#pragma once

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
    static const bool made = make();
    static_cast<void>(made);
    return *instance_;
  }

 private:
  static bool make() {
    instance_ = new T;
    call_after_fork([] { ::new (instance_) T; });
    return true;
  }

  static inline T* instance_ = nullptr;
};

}  // namespace tokenlearner::platform
