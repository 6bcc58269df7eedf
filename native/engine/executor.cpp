#include "engine/executor.hpp"

#include <string>
#include <system_error>
#include <utility>

#include "engine/cuda-stream.hpp"
#include "engine/error.hpp"
#include "engine/exit-gate.hpp"
#include "kernels/cpu/compute-pool.hpp"
#include "kernels/spin.hpp"

namespace tokenlearner {

namespace {

// One request copies in, one computes, one copies out.
constexpr int kCudaLanes = 3;

/// A few times what a client takes to send its next request.
constexpr auto kShortWait = std::chrono::microseconds(200);

}  // namespace

Executor::Executor(Device device) {
  const int lanes = device.is_cuda() ? kCudaLanes : 1;
  threads_.reserve(static_cast<std::size_t>(lanes));
  try {
    for (int i = 0; i < lanes; ++i) threads_.emplace_back([this, device] { loop(device); });
  } catch (const std::system_error& error) {
    // Fewer lanes do.
    if (threads_.empty()) {
      throw Error(ErrorCode::ERR_OUT_OF_MEMORY, std::string("Could not start a thread: ") + error.what());
    }
  }
}

Executor::~Executor() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    events_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  for (std::unique_ptr<Job>& job : queue_) {
    Job& dropped = *job;
    dropped.drop();
    dropped.settle(std::move(job));
  }
}

void Executor::submit(std::unique_ptr<Job> job) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(job));
    events_.fetch_add(1, std::memory_order_release);
    // A spinning thread takes one by itself.
    wake = sleeping_ > 0 && queue_.size() > (spinning_ ? 1U : 0U);
  }
  if (wake) wake_.notify_one();
}

/// Null when the executor closes.
std::unique_ptr<Job> Executor::next_job() {
  std::unique_lock lock(mutex_);
  if (queue_.empty() && !closing_) {
    const auto started = std::chrono::steady_clock::now();
    await_job(lock, last_wait_was_short_ && !spinning_);
    last_wait_was_short_ = std::chrono::steady_clock::now() - started < kShortWait;
  }
  if (closing_) return nullptr;
  std::unique_ptr<Job> job = std::move(queue_.front());
  queue_.pop_front();
  return job;
}

/// Returns with the lock held, when there is a job or the executor closes.
void Executor::await_job(std::unique_lock<std::mutex>& lock, bool may_spin) {
  if (may_spin) {
    spinning_ = true;
    const unsigned seen = events_.load(std::memory_order_relaxed);
    lock.unlock();
    spin_for_job(seen);
    lock.lock();
    spinning_ = false;
  }
  ++sleeping_;
  wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
  --sleeping_;
}

void Executor::spin_for_job(unsigned seen) const {
  const kernels::ComputePool::SpareCore core(kernels::ComputePool::shared());
  kernels::spin_for(kShortWait,
                    [&] { return !core.is_spare() || events_.load(std::memory_order_acquire) != seen; });
}

void Executor::loop(Device device) {
  bool has_stream = false;
  for (;;) {
    std::unique_ptr<Job> job = next_job();
    if (job == nullptr) return;
    {
      const ExitGate gate;
      if (!gate.open()) {
        // Kept: its tensors are libtorch's, whose static objects are being destroyed.
        static_cast<void>(job.release());
        return;
      }
      if (!has_stream) has_stream = adopt_stream(device);
      job->run();
    }
    Job& finished = *job;
    finished.settle(std::move(job));
  }
}

}  // namespace tokenlearner
