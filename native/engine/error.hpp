#pragma once

#include <stdexcept>
#include <string>

#include "error-codes.hpp"

namespace tokenlearner {

/// The only exception of native/engine. native/boundary turns it into a TokenLearnerError with the same code.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

/// A failure that one thread passes to another.
struct Failure {
  ErrorCode code;
  std::string message;

  /// The failure of the current exception. Must be called inside a catch block.
  static Failure of_current_exception();
};

}  // namespace tokenlearner
