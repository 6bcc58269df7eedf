// The result path of an asynchronous forward: from any thread to the promise that JavaScript holds.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "boundary/errors.hpp"
#include "boundary/marshal.hpp"
#include "boundary/storage-registry.hpp"
#include "engine/run/request.hpp"

namespace tokenlearner {

/// Settles promises on the environment's thread. Keeps the event loop alive while requests are in progress.
class PromiseQueue final : public CompletionSink {
 public:
  PromiseQueue(Napi::Env env, StorageRegistry& storages, const TensorFactory& tensors,
               const ErrorFactory& errors);
  /// Must be called after the last executor is destroyed. The environment's thread only.
  void close();

  struct Pending {
    Napi::Promise promise;
    /// Settles the promise in a later turn of the event loop.
    std::unique_ptr<Completion> completion;
  };

  /// Adds a promise. Its completion must be called exactly once. The environment's thread only.
  Pending add(Napi::Env env);

  /// Settles all promises in one turn of the event loop, with one wake-up.
  void deliver(std::vector<RequestOutcome> outcomes) noexcept override;

 private:
  struct Settlement;
  class PromiseCompletion;
  using Settlements = std::vector<std::unique_ptr<Settlement>>;

  /// Any thread.
  void post(std::unique_ptr<Settlements> settlements) noexcept;
  void settle(Napi::Env env, Settlements& settlements) noexcept;
  void conclude(Napi::Env env, Settlement& settlement);

  napi_env env_;
  StorageRegistry& storages_;
  const TensorFactory& tensors_;
  const ErrorFactory& errors_;
  napi_threadsafe_function function_ = nullptr;
  int64_t pending_ = 0;
};

}  // namespace tokenlearner
