// The native memory that JavaScript holds.
//
// Note: [Who keeps native memory alive]
// Each storage that JavaScript sees is a StorageEntry behind a Napi::External (the handle). Its memory is a
// counted Block: the handle holds one count, the ArrayBuffer made by buffer() another, a forward under way
// the storage's own.
// - dispose() drops the handle's count and detaches the ArrayBuffer, so memory is free at once unless a run
// uses it.
// - A collected handle drops its count in its finalizer. Node runs finalizers between turns of the event
// loop, so a loop
//   of synchronous calls would never free anything; sweep() looks for collected handles whose finalizer still
//   waits.
// - The garbage collector sees small handles: adjust_external_memory tells it what they stand for.
#pragma once

#include <napi.h>

#include <cstdint>
#include <list>
#include <memory>

#include "engine/storage.hpp"

namespace tokenlearner {

/// Live memory of one environment. Only its thread touches it.
struct MemoryCounters {
  int64_t tensors = 0;
  int64_t bytes = 0;
};

class StorageRegistry {
 public:
  /// A new handle for `storage`.
  Napi::Value wrap(Napi::Env env, Storage storage);

  /// The storage behind a handle. Throws ERR_INVALID_ARG_TYPE or ERR_DISPOSED.
  const Storage& unwrap(Napi::Value handle) const;

  /// Whether this runtime allows ArrayBuffers over native memory (Electron does not).
  static bool shares_buffers(Napi::Env env);

  /// An ArrayBuffer over the storage's memory: the same one while it lives. A copy where the runtime forbids
  /// that.
  Napi::Value buffer(Napi::Env env, Napi::Value handle);

  /// Gives up the handle's memory and detaches its ArrayBuffer. Idempotent.
  void dispose(Napi::Env env, Napi::Value handle);

  const MemoryCounters& counters() const { return *counters_; }

 private:
  struct Block;
  struct Entry;
  // Entries outlive the registry when Node finalizes handles after it, so they share the list.
  using Entries = std::list<Entry*>;

  static Entry& entry_of(Napi::Value handle);
  static void release(Napi::Env env, Entry& entry);
  static void finalize(Napi::Env env, Entry* entry);
  static bool buffer_is_gone(Napi::Env env, const Entry& entry);
  void sweep(Napi::Env env);

  std::shared_ptr<MemoryCounters> counters_ = std::make_shared<MemoryCounters>();
  std::shared_ptr<Entries> entries_ = std::make_shared<Entries>();
  int64_t bytes_since_sweep_ = 0;
};

}  // namespace tokenlearner
