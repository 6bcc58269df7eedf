#include "boundary/promise-queue.hpp"

#include <optional>
#include <utility>

namespace tokenlearner {

struct PromiseQueue::Settlement {
  Napi::Promise::Deferred deferred;
  Outputs outputs;
  std::optional<Failure> failure;
};

/// Holds no Node object: it may be destroyed on any thread, together with its request.
class PromiseQueue::PromiseCompletion final : public Completion {
 public:
  PromiseCompletion(PromiseQueue& queue, std::unique_ptr<Settlement> settlement)
      : queue_(queue), settlement_(std::move(settlement)) {}

  void succeed(Outputs outputs) noexcept override {
    settlement_->outputs = std::move(outputs);
    post();
  }
  void fail(Failure failure) noexcept override {
    settlement_->failure = std::move(failure);
    post();
  }

  std::unique_ptr<Settlement> settlement(RequestOutcome& outcome) {
    settlement_->outputs = std::move(outcome.outputs);
    settlement_->failure = std::move(outcome.failure);
    return std::move(settlement_);
  }

 private:
  void post() noexcept {
    auto one = std::make_unique<Settlements>();
    one->push_back(std::move(settlement_));
    queue_.post(std::move(one));
  }

  PromiseQueue& queue_;
  std::unique_ptr<Settlement> settlement_;
};

PromiseQueue::PromiseQueue(Napi::Env env, StorageRegistry& storages, const TensorFactory& tensors,
                           const ErrorFactory& errors)
    : env_(env), storages_(storages), tensors_(tensors), errors_(errors) {
  const auto call = [](napi_env e, napi_value, void* context, void* data) {
    const std::unique_ptr<Settlements> settlements(static_cast<Settlements*>(data));
    // If there is no environment, Node is only emptying the queue.
    if (e != nullptr) static_cast<PromiseQueue*>(context)->settle(Napi::Env(e), *settlements);
  };
  const auto name = Napi::String::New(env, "tokenlearner.forward");
  NAPI_THROW_IF_FAILED_VOID(env, napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr,
                                                                 nullptr, this, call, &function_));
  napi_unref_threadsafe_function(env, function_);
}

void PromiseQueue::close() {
  if (function_ != nullptr) napi_release_threadsafe_function(function_, napi_tsfn_abort);
  function_ = nullptr;
}

PromiseQueue::Pending PromiseQueue::add(Napi::Env env) {
  auto settlement = std::unique_ptr<Settlement>(new Settlement{Napi::Promise::Deferred::New(env), {}, {}});
  const Napi::Promise promise = settlement->deferred.Promise();
  auto completion = std::make_unique<PromiseCompletion>(*this, std::move(settlement));
  if (pending_++ == 0) napi_ref_threadsafe_function(env_, function_);
  return {promise, std::move(completion)};
}

void PromiseQueue::deliver(std::vector<RequestOutcome> outcomes) noexcept {
  auto settlements = std::make_unique<Settlements>();
  settlements->reserve(outcomes.size());
  for (RequestOutcome& outcome : outcomes)
    settlements->push_back(static_cast<PromiseCompletion&>(*outcome.completion).settlement(outcome));
  post(std::move(settlements));
}

void PromiseQueue::post(std::unique_ptr<Settlements> settlements) noexcept {
  Settlements* const raw = settlements.release();
  if (napi_call_threadsafe_function(function_, raw, napi_tsfn_nonblocking) != napi_ok) delete raw;
}

void PromiseQueue::settle(Napi::Env env, Settlements& settlements) noexcept {
  pending_ -= static_cast<int64_t>(settlements.size());
  if (pending_ == 0) napi_unref_threadsafe_function(env, function_);
  try {
    const Napi::HandleScope outer(env);
    storages_.collect(env);
    for (const std::unique_ptr<Settlement>& settlement : settlements) {
      const Napi::HandleScope scope(env);
      conclude(env, *settlement);
    }
  } catch (...) {
    // A worker that is being terminated runs no JavaScript any more, so nothing waits for the result.
  }
}

void PromiseQueue::conclude(Napi::Env env, Settlement& settlement) {
  const Napi::Promise::Deferred& deferred = settlement.deferred;
  try {
    if (!settlement.failure) return deferred.Resolve(tensors_.make_all(env, settlement.outputs));
  } catch (const Napi::Error& error) {
    return deferred.Reject(error.Value());
  } catch (...) {
    settlement.failure = Failure::of_current_exception();
  }
  deferred.Reject(errors_.make(env, *settlement.failure));
}

}  // namespace tokenlearner
