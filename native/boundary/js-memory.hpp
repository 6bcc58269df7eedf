// Memory that V8 owns and that native code uses. See Note [Who may free memory] in storage-registry.hpp.
#pragma once

#include <napi.h>

#include <cstddef>
#include <memory>

#include "engine/memory/storage.hpp"

namespace tokenlearner {

/// Storages over ArrayBuffers that JavaScript has not seen yet. One per environment. The environment's thread
/// only, but the storages may be released on any thread.
class JsMemory {
 public:
  explicit JsMemory(Napi::Env env);
  JsMemory(const JsMemory&) = delete;
  JsMemory& operator=(const JsMemory&) = delete;

  /// Zeroed memory. Runs no user code. Throws ERR_OUT_OF_MEMORY.
  Storage allocate(Napi::Env env, std::size_t bytes);

  /// True if `storage` came from allocate().
  static bool owns(const Storage& storage);

  /// Gives the ArrayBuffer under `storage` to JavaScript. From then on JavaScript may do anything with it. If
  /// others hold the storage, JavaScript gets a copy: a running request must not lose its memory.
  Napi::ArrayBuffer reveal(Napi::Env env, Storage storage);

  /// Frees the storages that were released since the last call.
  void collect(Napi::Env env);

  /// Called when the environment ends. It frees its ArrayBuffers itself.
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
