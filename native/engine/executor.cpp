#include "engine/executor.hpp"

#include <string>
#include <system_error>
#include <utility>

#include "engine/cuda-stream.hpp"
#include "engine/error.hpp"
#include "engine/exit-gate.hpp"

namespace tokenlearner {

namespace {

// One request copies in, one computes, one copies out.
constexpr int kCudaLanes = 3;

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
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Executor::submit(std::unique_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void Executor::loop(Device device) {
  bool has_stream = false;
  for (;;) {
    std::unique_ptr<Job> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
      if (closing_) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
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
