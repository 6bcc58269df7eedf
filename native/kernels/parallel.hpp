// The interface through which a kernel uses threads. The kernel does not know who owns them.
#pragma once

#include <cstdint>
#include <type_traits>

namespace tokenlearner::kernels {

/** A reference to a callable `void(int64_t)`. It owns nothing and must not outlive the callable. */
class TaskRef {
 public:
  template <typename Callable>
    requires(!std::is_same_v<std::remove_cvref_t<Callable>, TaskRef>)
  TaskRef(const Callable& callable)  // NOLINT: implicit, so that a lambda can be passed
      : object_(&callable),
        call_([](const void* object, std::int64_t task) { (*static_cast<const Callable*>(object))(task); }) {}

  void operator()(std::int64_t task) const { call_(object_, task); }

 private:
  const void* object_;
  void (*call_)(const void*, std::int64_t);
};

class Parallel {
 public:
  virtual ~Parallel() = default;

  /** The maximum number of threads that run() uses at once. The caller counts as one. */
  virtual int threads() const noexcept = 0;

  /**
   * Calls task(0) ... task(count - 1), each once, in any order, on the calling thread and at most
   * max_threads - 1 others. Returns when all are done. `task` must not throw and must not call run().
   */
  virtual void run(std::int64_t count, int max_threads, TaskRef task) noexcept = 0;
};

/** Runs every task on the calling thread. */
class SerialParallel final : public Parallel {
 public:
  int threads() const noexcept override { return 1; }
  void run(std::int64_t count, int, TaskRef task) noexcept override {
    for (std::int64_t i = 0; i < count; ++i) task(i);
  }
};

}  // namespace tokenlearner::kernels
