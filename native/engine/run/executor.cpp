#include "engine/run/executor.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/cuda/stream.hpp"
#include "engine/error.hpp"
#include "engine/run/exit-gate.hpp"
#include "kernels/cpu/compute-pool.hpp"
#include "kernels/spin.hpp"

namespace tokenlearner {

namespace {

// One request can copy to the device while another computes and a third copies back.
constexpr int kCudaLanes = 3;

/// A few times longer than a client takes to send its next request.
constexpr auto kShortWait = std::chrono::microseconds(200);

}  // namespace

Executor::Executor(Device device, int lanes) : device_(device) {
  // See Note [Leaving while a forward runs].
  ExitGate::guard_main_thread();
  static const bool installed = (ExitGate::install(), true);
  static_cast<void>(installed);
  if (device.is_cuda()) lanes = kCudaLanes;
  threads_.reserve(static_cast<std::size_t>(lanes));
  running_.reserve(static_cast<std::size_t>(lanes));
  for (int i = 0; i < lanes; ++i) {
    platform::ThreadHandle thread;
    if (platform::start_thread(thread, thread_main, this)) threads_.push_back(thread);
  }
  // One lane is enough to run requests.
  if (threads_.empty()) throw Error(ErrorCode::ERR_OUT_OF_MEMORY, "The system allows no further thread");
}

Executor::~Executor() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    events_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  for (const platform::ThreadHandle thread : threads_) platform::join_thread(thread);
  for (const std::unique_ptr<Job>& request : queue_)
    request->fail(ErrorCode::ERR_CLOSED, "The process is exiting; the request was not run");
}

void Executor::set_queue_limits(QueueLimits limits) {
  const std::lock_guard lock(mutex_);
  limits_ = limits;
}

void Executor::check_room(std::size_t bytes) const {
  const std::lock_guard lock(mutex_);
  require_room(bytes);
}

void Executor::require_room(std::size_t bytes) const {
  // Free threads are about to take the first requests: those do not wait.
  const std::size_t free = threads_.size() - running_.size();
  if (queue_.size() < free) return;
  std::size_t waiting_bytes = queued_bytes_;
  std::size_t waiting = limited_;
  for (std::size_t i = 0; i < free; ++i) {
    waiting_bytes -= queue_[i]->input_bytes();
    waiting -= queue_[i]->is_limited() ? 1 : 0;
  }
  if (waiting < limits_.requests && waiting_bytes <= limits_.bytes && bytes <= limits_.bytes - waiting_bytes)
    return;
  throw Error(ErrorCode::ERR_QUEUE_FULL, "The queue is full: " + std::to_string(waiting) +
                                             " requests with inputs of " + std::to_string(waiting_bytes) +
                                             " bytes wait, and this one has " + std::to_string(bytes));
}

void Executor::submit(std::unique_ptr<Job> job) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(job));
    count(*queue_.back(), 1);
    events_.fetch_add(1, std::memory_order_release);
    // A spinning thread takes one request without being woken.
    wake = sleeping_ > 0 && queue_.size() > (spinning_ ? 1U : 0U);
  }
  if (wake) wake_.notify_one();
}

/// A job enters the queue (1) or leaves it (-1). Precondition: the lock is held.
void Executor::count(const Job& job, int sign) {
  queued_bytes_ += static_cast<std::size_t>(sign) * job.input_bytes();
  limited_ += static_cast<std::size_t>(job.is_limited() ? sign : 0);
}

bool Executor::cancel(uint64_t id) {
  std::unique_ptr<Job> waiting;
  {
    const std::lock_guard lock(mutex_);
    const auto queued =
        std::find_if(queue_.begin(), queue_.end(), [id](const auto& r) { return r->id() == id; });
    if (queued != queue_.end()) {
      waiting = std::move(*queued);
      queue_.erase(queued);
      count(*waiting, -1);
    } else {
      const auto running =
          std::find_if(running_.begin(), running_.end(), [id](const Job* r) { return r->id() == id; });
      if (running == running_.end()) return false;
      (*running)->cancel();
    }
  }
  if (waiting != nullptr) waiting->fail(ErrorCode::ERR_CLOSED, "The request was cancelled");
  return true;
}

/// Waits for a request and takes it. Null if the executor closes.
std::unique_ptr<Job> Executor::next_request() {
  std::unique_lock lock(mutex_);
  if (queue_.empty() && !closing_) {
    idle_since_ = std::chrono::steady_clock::now();
    await_request(lock, last_wait_was_short_ && !spinning_);
    last_wait_was_short_ = std::chrono::steady_clock::now() - idle_since_ < kShortWait;
  }
  if (closing_) return nullptr;
  std::unique_ptr<Job> request = std::move(queue_.front());
  queue_.pop_front();
  count(*request, -1);
  running_.push_back(request.get());
  return request;
}

/// Returns when there is a request or the executor closes. The lock is held before and after.
void Executor::await_request(std::unique_lock<std::mutex>& lock, bool may_spin) {
  // While the lock is released, a request may arrive and be cancelled.
  while (queue_.empty() && !closing_) {
    if (may_spin) {
      spinning_ = true;
      const unsigned seen = events_.load(std::memory_order_relaxed);
      lock.unlock();
      spin_for_request(seen);
      lock.lock();
      spinning_ = false;
      may_spin = false;
      continue;
    }
    ++sleeping_;
    wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
    --sleeping_;
  }
}

void Executor::spin_for_request(unsigned seen) const {
  const kernels::ComputePool::SpareCore core(kernels::ComputePool::shared());
  kernels::spin_for(kShortWait,
                    [&] { return !core.is_spare() || events_.load(std::memory_order_acquire) != seen; });
}

void Executor::thread_main(void* executor) { static_cast<Executor*>(executor)->loop(); }

void Executor::loop() {
  // On CUDA the threads start kernels, and wait for them: they compute nothing.
  if (device_.is_cpu()) platform::become_batch_thread();
  bool has_stream = false;
  for (;;) {
    std::unique_ptr<Job> request = next_request();
    if (request == nullptr) return;
    const ExitGate gate;
    if (!gate.open()) {
      // Do not destroy it: its tensors belong to libtorch, whose static objects are being destroyed.
      static_cast<void>(request.release());
      return;
    }
    if (!has_stream) has_stream = adopt_stream(device_);
    request->compute();
    {
      // Before the caller hears of the result: from then on this thread is free.
      const std::lock_guard lock(mutex_);
      running_.erase(std::find(running_.begin(), running_.end(), request.get()));
    }
    request->settle();
  }
}

}  // namespace tokenlearner
