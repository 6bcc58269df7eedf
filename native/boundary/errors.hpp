#pragma once

#include <napi.h>

#include "engine/error.hpp"

namespace tokenlearner {

/// Makes JavaScript errors with the factory that lib/ registers. The factory makes TokenLearnerErrors.
class ErrorFactory {
 public:
  void set(Napi::Function create) { create_ = Napi::Persistent(create); }
  Napi::Value make(Napi::Env env, const Failure& failure) const;

 private:
  Napi::FunctionReference create_;
};

}  // namespace tokenlearner
