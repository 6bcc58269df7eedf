#include "boundary/request.hpp"

#include <utility>

#include "boundary/marshal.hpp"

namespace tokenlearner {

Settler::Settler(Napi::Env env, StorageRegistry& storages, const ErrorFactory& errors)
    : env_(env), storages_(storages), errors_(errors) {
  const auto call = [](napi_env e, napi_value, void* context, void* data) {
    const std::unique_ptr<ForwardJob> job(static_cast<ForwardJob*>(data));
    // Without an environment Node is only emptying the queue.
    if (e != nullptr) static_cast<Settler*>(context)->settle(Napi::Env(e), *job);
  };
  const auto name = Napi::String::New(env, "tokenlearner.forward");
  NAPI_THROW_IF_FAILED_VOID(env, napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr,
                                                                 nullptr, this, call, &function_));
  napi_unref_threadsafe_function(env, function_);
}

void Settler::close() {
  if (function_ != nullptr) napi_release_threadsafe_function(function_, napi_tsfn_abort);
  function_ = nullptr;
}

void Settler::expect() {
  if (pending_++ == 0) napi_ref_threadsafe_function(env_, function_);
}

void Settler::post(std::unique_ptr<ForwardJob> job) noexcept {
  ForwardJob* raw = job.release();
  if (napi_call_threadsafe_function(function_, raw, napi_tsfn_nonblocking) != napi_ok) delete raw;
}

void Settler::settle(Napi::Env env, ForwardJob& job) noexcept {
  if (--pending_ == 0) napi_unref_threadsafe_function(env, function_);
  try {
    const Napi::HandleScope scope(env);
    storages_.collect(env);
    conclude(env, job);
  } catch (...) {
    // A worker that is being terminated runs no JavaScript any more: nobody is left to hear of the result.
  }
}

void Settler::conclude(Napi::Env env, ForwardJob& job) {
  try {
    if (!job.failure_) return job.deferred_.Resolve(from_tensors(env, storages_, job.outputs_));
  } catch (const Napi::Error& error) {
    return job.deferred_.Reject(error.Value());
  } catch (...) {
    job.failure_ = Failure::of_current_exception();
  }
  job.deferred_.Reject(errors_.make(env, *job.failure_));
}

ForwardJob::ForwardJob(Napi::Env env, Settler& settler, std::shared_ptr<const Op> op, Tensor input,
                       RunOptions options)
    : deferred_(Napi::Promise::Deferred::New(env)),
      settler_(settler),
      op_(std::move(op)),
      input_(std::move(input)),
      options_(std::move(options)) {}

void ForwardJob::run() noexcept {
  try {
    outputs_ = run_from_anywhere(*op_, input_, options_);
  } catch (...) {
    failure_ = Failure::of_current_exception();
  }
  // What the run needed is freed here, not when JavaScript gets to it.
  input_ = Tensor();
  options_ = {};
  op_.reset();
}

void ForwardJob::drop() noexcept {
  failure_ = Failure{ErrorCode::ERR_CLOSED, "The process is exiting; the forward was not run"};
}

void ForwardJob::settle(std::unique_ptr<Job> self) noexcept {
  self.release();
  settler_.post(std::unique_ptr<ForwardJob>(this));
}

}  // namespace tokenlearner
