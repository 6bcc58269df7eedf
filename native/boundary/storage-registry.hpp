// The native memory that JavaScript holds.
//
// Note: [Who may free memory]
// 1. A storage that JavaScript holds is an Entry behind a Napi::External (the handle). Memory of ours is a
//    counted Block: the handle holds one count, a run under way another. The last one to go frees it.
// 2. Memory that JavaScript has seen as an ArrayBuffer is freed by V8 alone, when it releases the buffer's
//    backing store: Node's own calls (a socket, fs, zlib, crypto) and moved buffers may use it until then.
//    dispose() drops the handle's count and the accounting; it never detaches what JavaScript has seen.
// 3. Lent memory: on the main thread the ArrayBuffer stands on our Block and holds a count, which Node drops
//    between turns of the event loop after V8 has released the backing store, wherever it was moved to.
// 4. A worker's buffers can outlive it (transfer(), then postMessage), and Node drops such counts when the
//    worker ends: there JavaScript sees only memory that V8 owns (JsMemory). So it is in runtimes that forbid
//    ArrayBuffers over native memory, and while more than 64 MB of lent memory waits for a turn of the event
//    loop that a loop of synchronous calls does not give.
// 5. V8's memory that JavaScript has not seen is held by a strong reference, so runs may use it. Once seen it
//    is JavaScript's: lib/ passes it as a typed array, which asynchronous calls copy.
// 6. A collected handle drops its count in its finalizer, which Node runs between turns; sweep() looks for
//    collected handles whose finalizer still waits. It frees no memory that JavaScript has seen.
// 7. The garbage collector sees small handles: adjust_external_memory tells it what they stand for, until an
//    ArrayBuffer does.
#pragma once

#include <napi.h>

#include <cstdint>
#include <list>
#include <memory>

#include "boundary/js-memory.hpp"
#include "engine/storage.hpp"

namespace tokenlearner {

/// Memory of one environment. Only its thread touches it.
struct MemoryCounters {
  /// Storages that a handle holds, and their bytes.
  int64_t tensors = 0;
  int64_t bytes = 0;
  /// Bytes under ArrayBuffers that V8 has not released, and those of them that a handle holds too.
  int64_t lent_bytes = 0;
  int64_t lent_bytes_held = 0;
};

class StorageRegistry {
 public:
  explicit StorageRegistry(Napi::Env env);

  /// Whether memory of ours may be lent to JavaScript at all. False until it is called.
  void allow_lending(bool allowed) { may_lend_ = allowed && runtime_lends_; }

  /// Whether JavaScript will see memory of ours as it is. If not, results are best written into allocate()'s.
  bool lends() const;

  /// Host memory for a tensor that JavaScript will hold. Throws ERR_OUT_OF_MEMORY.
  Storage allocate(Napi::Env env, std::size_t bytes, bool zeroed);

  /// A new handle for `storage`.
  Napi::Value wrap(Napi::Env env, Storage storage);

  /// The storage behind a handle. Throws ERR_INVALID_ARG_TYPE or ERR_DISPOSED.
  const Storage& unwrap(Napi::Value handle) const;

  struct Shared {
    Napi::ArrayBuffer buffer;
    /// Whether it stands on the storage's own memory and the handle goes on; else the handle is disposed and
    /// `buffer`, which V8 owns, is the memory.
    bool lent;
  };

  /// Shows the storage's memory to JavaScript. Once for each handle: lib/ keeps the buffer.
  Shared share(Napi::Env env, Napi::Value handle);

  /// Gives up the handle's count. Idempotent.
  void dispose(Napi::Env env, Napi::Value handle);

  /// Frees what runs on other threads have let go of.
  void collect(Napi::Env env) { js_memory_.collect(env); }

  /// The environment ends.
  void close() { js_memory_.close(); }

  const MemoryCounters& counters() const { return *counters_; }

 private:
  struct Block;
  struct Entry;
  // Entries outlive the registry when Node finalizes handles after it, so they share the list.
  using Entries = std::list<Entry*>;

  static Entry& entry_of(Napi::Value handle);
  static int64_t let_go(Entry& entry);
  static void release(Napi::Env env, Entry& entry);
  static Napi::ArrayBuffer lend(Napi::Env env, Entry& entry);
  void sweep(Napi::Env env);

  bool runtime_lends_;
  bool may_lend_ = false;
  JsMemory js_memory_;
  std::shared_ptr<MemoryCounters> counters_ = std::make_shared<MemoryCounters>();
  std::shared_ptr<Entries> entries_ = std::make_shared<Entries>();
  int64_t bytes_since_sweep_ = 0;
};

}  // namespace tokenlearner
