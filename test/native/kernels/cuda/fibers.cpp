#include "fibers.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace tokenlearner::kernels::cuda::test {

Fibers::Fibers(int count, std::function<void(int)> body, std::function<bool()> idle)
    : fibers_(static_cast<std::size_t>(count)), body_(std::move(body)), idle_(std::move(idle)) {}

void Fibers::enter(unsigned high, unsigned low) {
  const auto address = (static_cast<std::uintptr_t>(high) << 32) | low;
  auto* self = reinterpret_cast<Fibers*>(address);
  // An exception cannot leave a fiber's stack: run() throws it again.
  try {
    self->body_(self->current_);
  } catch (...) {
    if (!self->failure_) self->failure_ = std::current_exception();
  }
  self->fibers_[static_cast<std::size_t>(self->current_)].finished = true;
  self->progress_ = true;
}

void Fibers::yield() { swapcontext(&fibers_[static_cast<std::size_t>(current_)].context, &scheduler_); }

bool Fibers::run_round() {
  progress_ = false;
  for (std::size_t i = 0; i < fibers_.size(); ++i) {
    if (fibers_[i].finished) continue;
    current_ = static_cast<int>(i);
    swapcontext(&scheduler_, &fibers_[i].context);
    if (failure_) std::rethrow_exception(failure_);
  }
  return progress_;
}

bool Fibers::run() {
  const auto address = reinterpret_cast<std::uintptr_t>(this);
  for (Fiber& fiber : fibers_) {
    fiber.stack.reset(new char[kStackBytes]);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = &scheduler_;
    makecontext(&fiber.context, reinterpret_cast<void (*)()>(&Fibers::enter), 2,
                static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
  }
  const auto finished = [](const Fiber& fiber) { return fiber.finished; };
  for (;;) {
    while (run_round()) {
    }
    if (std::all_of(fibers_.begin(), fibers_.end(), finished)) return true;
    if (!idle_()) return false;
  }
}

}  // namespace tokenlearner::kernels::cuda::test
