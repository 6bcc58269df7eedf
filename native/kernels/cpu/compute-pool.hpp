// The threads that compute, shared by everything in the process.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "kernels/parallel.hpp"

namespace tokenlearner::kernels {

// Note: [Permits]
// However many callers there are (a Node process has one executor thread for each environment and device, and
// forwardSync runs on any JavaScript thread), no more than threads() of them compute at once: a caller waits
// for a permit, first come first served, and helpers join a job only while permits are free. A helper gives
// its permit back between two tasks as soon as a caller waits for one. So N models never make N * cores
// threads.

/**
 * Callers compute too: with T permits there are at most T - 1 helper threads, started by the first job that
 * can use them. After a job a helper spins for some tens of microseconds, because the next phase usually
 * follows at once, and then sleeps. run() may be called from any thread.
 */
class ComputePool final : public Parallel {
 public:
  /**
   * The pool of the process, with thread_limit() permits. It is never destroyed: its helpers may outlive
   * main(). The code that they run must stay mapped, so an addon that uses it is linked with -z nodelete. In
   * a child process made by fork() it is a new pool.
   */
  static ComputePool& shared();

  explicit ComputePool(int permits);
  /** Joins the helpers. No run() may be under way. */
  ~ComputePool() override;
  ComputePool(const ComputePool&) = delete;
  ComputePool& operator=(const ComputePool&) = delete;

  int threads() const noexcept override { return permits_; }
  void run(std::int64_t count, int max_threads, TaskRef task) noexcept override;

  class SpareCore;

 private:
  struct Job;

  static void* helper_main(void* pool);
  void helper_loop();
  void start_helpers(int wanted);
  void acquire_permit(std::unique_lock<std::mutex>& lock);
  void release_permit();
  Job* joinable_job() const;
  void help(std::unique_lock<std::mutex>& lock, Job& job);
  bool spin_for_work(std::uint64_t seen) const;

  const int permits_;

  std::mutex mutex_;
  /** Callers that wait for a permit. */
  std::condition_variable permit_free_;
  /** Helpers that sleep. */
  std::condition_variable work_;
  /** Written under mutex_. */
  std::atomic<int> free_permits_;
  // Guarded by mutex_:
  std::uint64_t next_ticket_ = 0;
  std::uint64_t serving_ticket_ = 0;
  std::vector<Job*> jobs_;
  std::vector<pthread_t> helpers_;
  int sleeping_ = 0;
  bool stopping_ = false;

  /** Callers waiting for a permit; written under mutex_, read by helpers between tasks. */
  std::atomic<int> waiting_callers_ = 0;
  /** SpareCores that are held. */
  std::atomic<int> spared_ = 0;
  /** Rises with each job and with each permit that becomes free; what spinning helpers watch. */
  std::atomic<std::uint64_t> epoch_ = 0;
};

/** While it is held, a core on which a thread that waits for work may spin. At most threads() - 1 are held at
 * once. */
class ComputePool::SpareCore {
 public:
  explicit SpareCore(ComputePool& pool)
      : pool_(pool), held_(pool.spared_.fetch_add(1, std::memory_order_relaxed) < pool.permits_ - 1) {}
  ~SpareCore() { pool_.spared_.fetch_sub(1, std::memory_order_relaxed); }
  SpareCore(const SpareCore&) = delete;
  SpareCore& operator=(const SpareCore&) = delete;

  /** Whether it was to be had and no computation wants it since. */
  bool is_spare() const noexcept { return held_ && pool_.free_permits_.load(std::memory_order_relaxed) > 0; }

 private:
  ComputePool& pool_;
  bool held_;
};

}  // namespace tokenlearner::kernels
