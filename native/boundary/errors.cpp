#include "boundary/errors.hpp"

namespace tokenlearner {

Napi::Value ErrorFactory::make(Napi::Env env, const Failure& failure) const {
  if (!create_.IsEmpty()) {
    return create_.Call(
        {Napi::String::New(env, name_of(failure.code)), Napi::String::New(env, failure.message)});
  }
  Napi::Error error = Napi::Error::New(env, failure.message);
  error.Set("code", name_of(failure.code));
  return error.Value();
}

}  // namespace tokenlearner
