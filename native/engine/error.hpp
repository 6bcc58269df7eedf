#pragma once

#include <stdexcept>
#include <string>

#include "error-codes.hpp"

namespace tokenlearner {

/// The engine's only exception. The boundary turns it into a TokenLearnerError with the same code.
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace tokenlearner
