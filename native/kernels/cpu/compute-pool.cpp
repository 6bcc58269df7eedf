#include "kernels/cpu/compute-pool.hpp"

#include <algorithm>
#include <chrono>
#include <new>

#include "kernels/cpu/topology.hpp"
#include "kernels/spin.hpp"
#include "platform/platform.hpp"

namespace tokenlearner::kernels {
namespace {

/** Longer than the gap between two phases of a run. Too short to show as load on an idle machine. */
constexpr auto kSpin = std::chrono::microseconds(40);

std::atomic<ComputePool*> shared_pool = nullptr;
std::mutex shared_mutex;

/** The child of fork() has the pool's memory but none of its threads, one of which may hold the lock: it makes a new pool. */
void forget_after_fork() {
  shared_pool.store(nullptr, std::memory_order_relaxed);
  ::new (&shared_mutex) std::mutex;
}

/** When the library is loaded: later, fork() could come in the middle. */
[[maybe_unused]] const bool registered = (platform::call_after_fork(forget_after_fork), true);

}  // namespace

/** Lives on the caller's stack: run() returns only when no helper uses it any more. */
struct ComputePool::Job {
  TaskRef task;
  std::int64_t count;
  /** The number of helpers that may still join. Guarded by the pool's mutex. */
  int openings;
  std::atomic<std::int64_t> next = 0;
  /** The number of helpers that work on it. Written under the pool's mutex. */
  std::atomic<int> helpers = 0;
  std::condition_variable left = {};

  bool has_tasks() const { return next.load(std::memory_order_relaxed) < count; }
  bool run_one() {
    const std::int64_t index = next.fetch_add(1, std::memory_order_relaxed);
    if (index >= count) return false;
    task(index);
    return true;
  }
};

Parallel& pool_for(bool runs_inline) {
  // Without state, so any number of threads may share it.
  static SerialParallel serial;
  return runs_inline ? static_cast<Parallel&>(serial) : ComputePool::shared();
}

ComputePool& ComputePool::shared() {
  ComputePool* pool = shared_pool.load(std::memory_order_acquire);
  if (pool != nullptr) return *pool;
  const std::lock_guard lock(shared_mutex);
  pool = shared_pool.load(std::memory_order_relaxed);
  if (pool == nullptr) {
    pool = new ComputePool(compute_threads().threads);
    shared_pool.store(pool, std::memory_order_release);
  }
  return *pool;
}

void ComputePool::set_shared_threads(int threads) {
  choose_threads(threads);
  // The pool that is being made meanwhile has read either number.
  const std::lock_guard lock(shared_mutex);
  ComputePool* const pool = shared_pool.load(std::memory_order_relaxed);
  if (pool != nullptr) pool->set_threads(threads);
}

ComputePool::ComputePool(int permits)
    : limit_(std::max(1, permits)), free_permits_(std::max(1, permits)), permits_(std::max(1, permits)) {}

ComputePool::~ComputePool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    epoch_.fetch_add(1, std::memory_order_release);
  }
  work_.notify_all();
  for (const platform::ThreadHandle helper : helpers_) platform::join_thread(helper);
}

void ComputePool::run(std::int64_t count, int max_threads, TaskRef task) noexcept {
  if (count <= 0) return;
  const int wanted = static_cast<int>(std::min<std::int64_t>(count, std::clamp(max_threads, 1, threads())));
  Job job{task, count, wanted - 1};

  std::unique_lock lock(mutex_);
  acquire_permit(lock);
  const bool is_shared = wanted > 1 && start_helpers(wanted - 1);
  if (is_shared) {
    jobs_.push_back(&job);
    epoch_.fetch_add(1, std::memory_order_release);
    for (int i = 0; i < std::min(wanted - 1, sleeping_); ++i) work_.notify_one();
  }
  lock.unlock();

  while (job.run_one()) {
  }

  if (is_shared) {
    lock.lock();
    std::erase(jobs_, &job);
    if (job.helpers.load(std::memory_order_relaxed) > 0) {
      lock.unlock();
      spin_for(kSpin, [&] { return job.helpers.load(std::memory_order_acquire) == 0; });
      lock.lock();
      job.left.wait(lock, [&] { return job.helpers.load(std::memory_order_relaxed) == 0; });
    }
    release_permit();
    return;
  }
  lock.lock();
  release_permit();
}

/** Precondition: mutex_ is held. */
void ComputePool::adopt_limit() {
  const int limit = threads();
  if (limit == permits_) return;
  free_permits_ += limit - permits_;
  permits_ = limit;
  permit_free_.notify_all();
}

/** First come, first served: a caller that runs one job after another cannot starve the others. */
void ComputePool::acquire_permit(std::unique_lock<std::mutex>& lock) {
  adopt_limit();
  const std::uint64_t ticket = next_ticket_++;
  if (ticket != serving_ticket_ || free_permits_ <= 0) {
    waiting_callers_.fetch_add(1, std::memory_order_relaxed);
    permit_free_.wait(lock, [&] { return ticket == serving_ticket_ && free_permits_ > 0; });
    waiting_callers_.fetch_sub(1, std::memory_order_relaxed);
  }
  ++serving_ticket_;
  --free_permits_;
  if (free_permits_ > 0 && waiting_callers_.load(std::memory_order_relaxed) > 0) permit_free_.notify_all();
}

/** Precondition: mutex_ is held. */
void ComputePool::release_permit() {
  adopt_limit();
  ++free_permits_;
  if (waiting_callers_.load(std::memory_order_relaxed) > 0) {
    permit_free_.notify_all();
  } else if (joinable_job() != nullptr) {
    epoch_.fetch_add(1, std::memory_order_release);
    if (sleeping_ > 0) work_.notify_one();
  }
}

/**
 * Precondition: mutex_ is held. Starts the threads that are missing, as far as the system allows, and makes room for a job. False if
 * memory is short: then the caller computes alone.
 */
bool ComputePool::start_helpers(int wanted) noexcept {
  try {
    jobs_.reserve(jobs_.size() + 1);
    helpers_.reserve(static_cast<std::size_t>(wanted));
  } catch (const std::bad_alloc&) {
    return false;
  }
  platform::ThreadHandle helper;
  while (static_cast<int>(helpers_.size()) < wanted && platform::start_thread(helper, helper_main, this))
    helpers_.push_back(helper);
  return true;
}

void ComputePool::helper_main(void* pool) { static_cast<ComputePool*>(pool)->helper_loop(); }

void ComputePool::helper_loop() {
  platform::become_batch_thread();
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    Job* job =
        waiting_callers_.load(std::memory_order_relaxed) == 0 && free_permits_ > 0 ? joinable_job() : nullptr;
    if (job != nullptr) {
      help(lock, *job);
      continue;
    }
    const std::uint64_t seen = epoch_.load(std::memory_order_relaxed);
    lock.unlock();
    const bool changed = spin_for_work(seen);
    lock.lock();
    if (changed || epoch_.load(std::memory_order_relaxed) != seen || stopping_) continue;
    ++sleeping_;
    work_.wait(lock);
    --sleeping_;
  }
}

bool ComputePool::spin_for_work(std::uint64_t seen) const {
  return spin_for(kSpin, [&] { return epoch_.load(std::memory_order_acquire) != seen; });
}

/** The oldest job that wants another thread, or null. Precondition: mutex_ is held. */
ComputePool::Job* ComputePool::joinable_job() const {
  for (Job* job : jobs_) {
    if (job->openings > 0 && job->has_tasks()) return job;
  }
  return nullptr;
}

/** Takes a permit, works until the job has no tasks left or a caller waits, and returns the permit. */
void ComputePool::help(std::unique_lock<std::mutex>& lock, Job& job) {
  --free_permits_;
  --job.openings;
  job.helpers.fetch_add(1, std::memory_order_relaxed);
  lock.unlock();
  while (waiting_callers_.load(std::memory_order_relaxed) == 0 && job.run_one()) {
  }
  lock.lock();
  ++job.openings;
  // After this the job may be destroyed as soon as the mutex is free.
  if (job.helpers.fetch_sub(1, std::memory_order_release) == 1) job.left.notify_one();
  release_permit();
}

}  // namespace tokenlearner::kernels
