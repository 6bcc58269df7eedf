#include "fibers.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace tokenlearner::kernels::cuda::test {

namespace {

/** Stacks of blocks that have ended, for the next ones: their pages are there already. */
thread_local std::vector<std::unique_ptr<char[]>> spare_stacks;

std::unique_ptr<char[]> take_stack(std::size_t bytes) {
  if (spare_stacks.empty()) return std::unique_ptr<char[]>(new char[bytes]);
  std::unique_ptr<char[]> stack = std::move(spare_stacks.back());
  spare_stacks.pop_back();
  return stack;
}

}  // namespace

Fibers::Fibers(int count, std::function<void(int)> body, std::function<bool()> idle)
    : fibers_(static_cast<std::size_t>(count)), body_(std::move(body)), idle_(std::move(idle)) {}

Fibers::~Fibers() {
  for (Fiber& fiber : fibers_) {
    if (fiber.stack) spare_stacks.push_back(std::move(fiber.stack));
  }
}

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
  self->yield();
}

// A fiber starts by its ucontext and goes on by its jmp_buf: swapcontext saves the mask of signals, which is a system call at each of
// some hundred million switches.
void Fibers::resume(Fiber& fiber) {
  if (_setjmp(scheduler_) != 0) return;
  if (fiber.started) _longjmp(fiber.place, 1);
  fiber.started = true;
  setcontext(&fiber.context);
}

void Fibers::yield() {
  if (_setjmp(fibers_[static_cast<std::size_t>(current_)].place) == 0) _longjmp(scheduler_, 1);
}

bool Fibers::run_round() {
  progress_ = false;
  for (std::size_t i = 0; i < fibers_.size(); ++i) {
    if (fibers_[i].finished) continue;
    current_ = static_cast<int>(i);
    resume(fibers_[i]);
    if (failure_) std::rethrow_exception(failure_);
  }
  return progress_;
}

bool Fibers::run() {
  const auto address = reinterpret_cast<std::uintptr_t>(this);
  for (Fiber& fiber : fibers_) {
    fiber.stack = take_stack(kStackBytes);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
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
