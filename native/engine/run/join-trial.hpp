#pragma once

#include <atomic>

#include "engine/run/op.hpp"

namespace tokenlearner {

// Note: [Trial of a join]
// Nothing in a compiled program tells whether its samples depend on each other: a mean over the batch has the shapes of a program
// without one. So the first requests that would share a run are run alone and joined, and compared; they get what they get alone.
// Only if the two agree do later requests share runs. Requests that are all equal prove nothing.

/// Tells whether requests of an operator whose samples may depend on each other can share runs. Any thread.
class JoinTrial {
 public:
  bool has_passed() const { return state_ == State::passed; }
  bool has_failed() const { return state_ == State::failed; }

  /// Runs requests that have not passed yet: each gets what it gets alone. Throws what run_on() throws.
  std::vector<Outputs> run(const Op& op, Device device, RequestList list);

 private:
  enum class State { open, passed, failed };

  void conclude(State verdict);

  std::atomic<State> state_ = State::open;
};

}  // namespace tokenlearner
