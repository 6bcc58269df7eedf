#pragma once

#include <napi.h>

#include <exception>
#include <new>
#include <string>

#include "engine/error.hpp"

namespace tokenlearner {

/// A failure on its way from any thread to JavaScript.
struct Failure {
  ErrorCode code;
  std::string message;

  /// What the exception in flight means. Call inside a catch block.
  static Failure of_current_exception();
};

/// Makes JavaScript errors through the factory that lib/ registers (it gives TokenLearnerErrors).
class ErrorFactory {
 public:
  void set(Napi::Function create) { create_ = Napi::Persistent(create); }
  Napi::Value make(Napi::Env env, const Failure& failure) const;

 private:
  Napi::FunctionReference create_;
};

}  // namespace tokenlearner
