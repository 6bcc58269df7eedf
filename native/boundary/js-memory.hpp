// Memory that JavaScript's engine owns and that native code uses: see Note [Who may free memory] in
// storage-registry.hpp.
#pragma once

#include <napi.h>

#include <cstddef>
#include <memory>

#include "engine/storage.hpp"

namespace tokenlearner {

/// Storages over ArrayBuffers that JavaScript has not seen yet. One per environment; its thread only, but the
/// storages may be let go of on any thread.
class JsMemory {
 public:
  explicit JsMemory(Napi::Env env);
  JsMemory(const JsMemory&) = delete;
  JsMemory& operator=(const JsMemory&) = delete;

  /// Zeroed memory. Runs no code of the user's. Throws ERR_OUT_OF_MEMORY.
  Storage allocate(Napi::Env env, std::size_t bytes);

  /// Whether `storage` came from allocate().
  static bool owns(const Storage& storage);

  /// Gives the ArrayBuffer under `storage` to JavaScript, which may do with it what it likes from now on. A
  /// copy where others hold the storage: a run under way must not lose its memory.
  Napi::ArrayBuffer reveal(Napi::Env env, Storage storage);

  /// Frees what was let go of since the last call.
  void collect(Napi::Env env);

  /// The environment ends: it frees its ArrayBuffers by itself.
  void close();

 private:
  struct Hidden;
  struct Released;
  struct Release;

  Napi::ArrayBuffer create(Napi::Env env, std::size_t bytes) const;

  Napi::FunctionReference constructor_;
  std::shared_ptr<Released> released_;
};

}  // namespace tokenlearner
