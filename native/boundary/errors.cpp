#include "boundary/errors.hpp"

namespace tokenlearner {

Failure Failure::of_current_exception() {
  try {
    throw;
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ErrorCode::ERR_OUT_OF_MEMORY, "Out of memory"};
  } catch (const std::exception& error) {
    return {ErrorCode::ERR_LIBTORCH, error.what()};
  } catch (...) {
    return {ErrorCode::ERR_LIBTORCH, "An unknown native failure"};
  }
}

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
