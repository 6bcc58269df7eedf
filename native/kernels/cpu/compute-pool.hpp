// The threads of the fused CPU engine. The whole process shares them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include "kernels/parallel.hpp"
#include "platform/platform.hpp"

namespace tokenlearner::kernels {

// Note: [Permits]
// There may be many callers: a Node process has executor threads for each environment and device, and
// forwardSync runs on any JavaScript thread. At most threads() threads compute at once. A caller waits for a
// permit, first come, first served. Helpers join a job only while permits are free. As soon as a caller
// waits, a helper returns its permit after the task that it is working on. So N models never use N * cores
// threads.

/**
 * Callers compute too: with T permits there are at most T - 1 helper threads. The first job that can use them
 * starts them. After a job a helper spins for some tens of microseconds, because the next phase usually
 * follows at once. Then it sleeps. run() may be called from any thread.
 */
class ComputePool final : public Parallel {
 public:
  /**
   * The process's pool, with compute_threads() permits. It is never destroyed, and its helpers may outlive
   * main(). Their code must stay mapped, so an addon that uses this pool is linked with -z nodelete. A child
   * process made by fork() gets a new pool.
   */
  static ComputePool& shared();

  /**
   * Changes the number of permits of the process's pool, now and for pools of child processes. At least 1. Runs that have started
   * keep the threads that they have. Waits for no run. Any thread.
   */
  static void set_shared_threads(int threads);

  explicit ComputePool(int permits);
  /** Joins the helpers. Precondition: no run() is in progress. */
  ~ComputePool() override;
  ComputePool(const ComputePool&) = delete;
  ComputePool& operator=(const ComputePool&) = delete;

  int threads() const noexcept override { return limit_.load(std::memory_order_relaxed); }
  /** As set_shared_threads(), for this pool. */
  void set_threads(int threads) noexcept {
    limit_.store(threads < 1 ? 1 : threads, std::memory_order_relaxed);
  }
  void run(std::int64_t count, int max_threads, TaskRef task) noexcept override;

  class SpareCore;

 private:
  struct Job;

  static void helper_main(void* pool);
  void helper_loop();
  bool start_helpers(int wanted) noexcept;
  void adopt_limit();
  void acquire_permit(std::unique_lock<std::mutex>& lock);
  void release_permit();
  Job* joinable_job() const;
  void help(std::unique_lock<std::mutex>& lock, Job& job);
  bool spin_for_work(std::uint64_t seen) const;

  /** The number of permits that there should be. The next run, or the next permit that is returned, adopts it. */
  std::atomic<int> limit_;

  std::mutex mutex_;
  /** Callers wait here for a permit. */
  std::condition_variable permit_free_;
  /** Helpers sleep here. */
  std::condition_variable work_;
  /** Written under mutex_. Below 0 while more threads compute than a lower limit allows. */
  std::atomic<int> free_permits_;
  // Guarded by mutex_:
  int permits_;
  std::uint64_t next_ticket_ = 0;
  std::uint64_t serving_ticket_ = 0;
  std::vector<Job*> jobs_;
  std::vector<platform::ThreadHandle> helpers_;
  int sleeping_ = 0;
  bool stopping_ = false;

  /** The number of callers that wait for a permit. Written under mutex_, read by helpers between tasks. */
  std::atomic<int> waiting_callers_ = 0;
  /** The number of SpareCore objects. */
  std::atomic<int> spared_ = 0;
  /** Increases with each job and with each permit that becomes free. Spinning helpers watch it. */
  std::atomic<std::uint64_t> epoch_ = 0;
};

/**
 * Permission for a thread that waits for work to spin on a core. At most threads() - 1 threads have one at
 * the same time.
 */
class ComputePool::SpareCore {
 public:
  explicit SpareCore(ComputePool& pool)
      : pool_(pool), held_(pool.spared_.fetch_add(1, std::memory_order_relaxed) < pool.threads() - 1) {}
  ~SpareCore() { pool_.spared_.fetch_sub(1, std::memory_order_relaxed); }
  SpareCore(const SpareCore&) = delete;
  SpareCore& operator=(const SpareCore&) = delete;

  /** True while a core is free for spinning. */
  bool is_spare() const noexcept { return held_ && pool_.free_permits_.load(std::memory_order_relaxed) > 0; }

 private:
  ComputePool& pool_;
  bool held_;
};

/**
 * The threads of a run. An inline run may be on JavaScript's thread: it must not wait for the permits of longer
 * runs, so it computes on the calling thread.
 */
Parallel& pool_for(bool runs_inline);

}  // namespace tokenlearner::kernels
