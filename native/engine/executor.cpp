#include "engine/executor.hpp"

#include <utility>

#include "engine/exit-gate.hpp"

namespace tokenlearner {

Executor::Executor() : thread_([this] { loop(); }) {}

Executor::~Executor() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Executor::submit(std::unique_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void Executor::loop() {
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
      if (!gate.open()) return;
      job->run();
    }
    Job& finished = *job;
    finished.settle(std::move(job));
  }
}

}  // namespace tokenlearner
