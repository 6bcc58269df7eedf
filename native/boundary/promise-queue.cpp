#include "boundary/promise-queue.hpp"

#include <optional>
#include <utility>

namespace tokenlearner {

struct PromiseQueue::Settlement {
  Napi::Promise::Deferred deferred;
  Outputs outputs;
  std::optional<Failure> failure;
  std::shared_ptr<const void> request;
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
    settlement_->request = std::move(outcome.request);
    return std::move(settlement_);
  }

 private:
  void post() noexcept {
    Settlements one;
    one.push_back(std::move(settlement_));
    queue_.post(std::move(one));
  }

  PromiseQueue& queue_;
  std::unique_ptr<Settlement> settlement_;
};

PromiseQueue::PromiseQueue(Napi::Env env, StorageRegistry& storages, const TensorFactory& tensors,
                           const ErrorFactory& errors)
    : env_(env), storages_(storages), tensors_(tensors), errors_(errors) {
  const auto call = [](napi_env e, napi_value, void* context, void*) {
    // If there is no environment, Node is only emptying the queue.
    if (e == nullptr) return;
    auto* const queue = static_cast<PromiseQueue*>(context);
    Settlements settlements = queue->take();
    queue->settle(Napi::Env(e), settlements);
    queue->pass_on();
  };
  const auto name = Napi::String::New(env, "tokenlearner.forward");
  for (napi_threadsafe_function& function : functions_) {
    NAPI_THROW_IF_FAILED_VOID(env, napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr,
                                                                   nullptr, this, call, &function));
    napi_unref_threadsafe_function(env, function);
  }
}

PromiseQueue::~PromiseQueue() = default;

void PromiseQueue::close() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  for (napi_threadsafe_function& function : functions_) {
    if (function != nullptr) napi_release_threadsafe_function(function, napi_tsfn_abort);
    function = nullptr;
  }
}

PromiseQueue::Pending PromiseQueue::add(Napi::Env env) {
  auto settlement =
      std::unique_ptr<Settlement>(new Settlement{Napi::Promise::Deferred::New(env), {}, {}, {}});
  const Napi::Promise promise = settlement->deferred.Promise();
  auto completion = std::make_unique<PromiseCompletion>(*this, std::move(settlement));
  if (pending_++ == 0) {
    for (const napi_threadsafe_function function : functions_) napi_ref_threadsafe_function(env_, function);
  }
  return {promise, std::move(completion)};
}

void PromiseQueue::deliver(std::vector<RequestOutcome> outcomes) noexcept {
  Settlements settlements;
  settlements.reserve(outcomes.size());
  for (RequestOutcome& outcome : outcomes)
    settlements.push_back(static_cast<PromiseCompletion&>(*outcome.completion).settlement(outcome));
  post(std::move(settlements));
}

void PromiseQueue::post(Settlements settlements) noexcept {
  const std::lock_guard lock(mutex_);
  for (std::unique_ptr<Settlement>& settlement : settlements) waiting_.push_back(std::move(settlement));
  if (!called_) call_next();
}

void PromiseQueue::call_next() noexcept {
  called_ =
      !ended_ && napi_call_threadsafe_function(functions_[next_], nullptr, napi_tsfn_nonblocking) == napi_ok;
  if (called_) return;
  // The environment ends: nothing waits for the results. A function that has refused a call must not be called again.
  ended_ = true;
  waiting_.clear();
}

PromiseQueue::Settlements PromiseQueue::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(waiting_, {});
}

void PromiseQueue::pass_on() noexcept {
  const std::lock_guard lock(mutex_);
  next_ = 1 - next_;
  called_ = false;
  if (!waiting_.empty()) call_next();
}

void PromiseQueue::settle(Napi::Env env, Settlements& settlements) noexcept {
  pending_ -= static_cast<int64_t>(settlements.size());
  if (pending_ == 0) {
    for (const napi_threadsafe_function function : functions_) napi_unref_threadsafe_function(env, function);
  }
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
