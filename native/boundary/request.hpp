// The way of one asynchronous forward: unwrap -> marshal -> submit -> settle.
#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "boundary/errors.hpp"
#include "boundary/storage-registry.hpp"
#include "engine/executor.hpp"
#include "engine/op.hpp"

namespace tokenlearner {

class ForwardJob;

/// Brings finished jobs back to the environment's thread. Keeps the event loop alive while jobs are pending.
class Settler {
 public:
  Settler(Napi::Env env, StorageRegistry& storages, const ErrorFactory& errors);
  /// Environment's thread, after the last executor is gone.
  void close();

  /// Environment's thread, once for each job that is submitted.
  void expect();
  /// Any thread.
  void post(std::unique_ptr<ForwardJob> job) noexcept;

 private:
  void settle(Napi::Env env, ForwardJob& job) noexcept;
  void conclude(Napi::Env env, ForwardJob& job);

  napi_env env_;
  StorageRegistry& storages_;
  const ErrorFactory& errors_;
  napi_threadsafe_function function_ = nullptr;
  int64_t pending_ = 0;
};

/// One forward: made and settled on the environment's thread, run on an executor's, or at once: see Note
/// [Brief runs] in executor.hpp.
class ForwardJob final : public Job {
 public:
  /// `input` owns its memory, unless the job is run at once.
  ForwardJob(Napi::Env env, Settler& settler, std::shared_ptr<const Op> op, Tensor input, RunOptions options);

  Napi::Promise promise() const { return deferred_.Promise(); }
  void run() noexcept override;
  void drop() noexcept override;
  void settle(std::unique_ptr<Job> self) noexcept override;

 private:
  friend class Settler;

  Napi::Promise::Deferred deferred_;
  Settler& settler_;
  std::shared_ptr<const Op> op_;
  Tensor input_;
  RunOptions options_;
  Outputs outputs_;
  std::optional<Failure> failure_;
};

}  // namespace tokenlearner
