// The result path of an asynchronous forward: from any thread to the promise that JavaScript holds.
#pragma once

#include <napi.h>

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "boundary/errors.hpp"
#include "boundary/marshal.hpp"
#include "boundary/storage-registry.hpp"
#include "engine/run/request.hpp"

namespace tokenlearner {

// Note: [A turn of the event loop]
// Node calls a thread-safe function again and again, up to a thousand times, before timers and sockets get their turn. Settled promises
// run JavaScript that submits the next requests, and a fast device answers these before their callers are done: the event loop would
// stand still. So results gather in a list of our own, and a call settles those that were there when it began. What came meanwhile
// takes a second thread-safe function, in turns with the first: libuv calls each once before it goes on.

/// Settles promises on the environment's thread. Keeps the event loop alive while requests are in progress.
class PromiseQueue final : public CompletionSink {
 public:
  PromiseQueue(Napi::Env env, StorageRegistry& storages, const TensorFactory& tensors,
               const ErrorFactory& errors);
  ~PromiseQueue() override;
  PromiseQueue(const PromiseQueue&) = delete;
  PromiseQueue& operator=(const PromiseQueue&) = delete;

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
  void post(Settlements settlements) noexcept;
  /// Precondition: the lock is held. The next call will settle what waits.
  void call_next() noexcept;
  /// A call begins: takes all settlements that wait.
  Settlements take();
  /// The call ends: requests the next one if more settlements wait.
  void pass_on() noexcept;
  void settle(Napi::Env env, Settlements& settlements) noexcept;
  void conclude(Napi::Env env, Settlement& settlement);

  napi_env env_;
  StorageRegistry& storages_;
  const TensorFactory& tensors_;
  const ErrorFactory& errors_;
  int64_t pending_ = 0;
  /// See Note [A turn of the event loop].
  std::array<napi_threadsafe_function, 2> functions_ = {};
  std::mutex mutex_;
  // Guarded by mutex_:
  Settlements waiting_;
  std::size_t next_ = 0;
  bool called_ = false;
  bool ended_ = false;
};

}  // namespace tokenlearner
