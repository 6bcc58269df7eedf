// The native memory that JavaScript holds.
//
// Note: [Who may free memory]
// 1. A storage that JavaScript holds is an Entry in a HandleTable. Our memory is a counted Block: the handle
//    holds one count, a running request holds another. The last holder frees the memory.
// 2. If JavaScript has seen memory as an ArrayBuffer, only V8 frees it, when it releases the buffer's backing
//    store. Until then, Node's own calls (a socket, fs, zlib, crypto) and moved buffers may use it. dispose()
//    drops the handle's count and the accounting. It never detaches memory that JavaScript has seen.
// 3. Lent memory: on the main thread the ArrayBuffer uses our Block and holds a count. V8 releases the
//    backing store, no matter where it was moved to. Then Node drops the count between turns of the event
//    loop.
// 4. A worker's buffers can outlive it (transfer(), then postMessage), but Node drops such counts when the
//    worker ends. So in a worker, JavaScript sees only memory that V8 owns (JsMemory). The same holds in
//    hosts that forbid ArrayBuffers over native memory, and while more than 64 MB of lent memory waits for a
//    turn of the event loop (a loop of synchronous calls gives no turn).
// 5. A strong reference holds V8's memory that JavaScript has not seen, so runs may use it. Once seen, it
//    belongs to JavaScript: lib/ passes it as a typed array, and asynchronous calls copy it.
// 6. A sweep drops the counts of collected handles: see Note [Handles without finalizers] in
//    handle-table.hpp. It never frees memory that JavaScript has seen.
// 7. Frozen memory is shared with other environments. JavaScript never sees it: `data` gives a copy, and a
//    write makes one first. So does a write while a request uses memory that JavaScript has not seen. See Note [Sharing between environments] in engine/run/shared-values.hpp.
// 8. The garbage collector sees only small handles. adjust_external_memory reports the memory behind them,
//    until an ArrayBuffer shows it.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "boundary/handle-table.hpp"
#include "boundary/js-memory.hpp"
#include "engine/memory/storage.hpp"

namespace tokenlearner {

/// Counts the memory of one environment. The environment's thread only.
struct MemoryCounters {
  /// The number of storages that handles hold, and their bytes.
  int64_t tensors = 0;
  int64_t bytes = 0;
  /// The bytes that wait for V8 to release ArrayBuffers, and those of them that a handle also holds.
  int64_t lent_bytes = 0;
  int64_t lent_bytes_held = 0;
};

class StorageRegistry {
 public:
  explicit StorageRegistry(Napi::Env env);

  /// Allows or forbids lending our memory to JavaScript. Forbidden until the first call.
  void allow_lending(bool allowed) { may_lend_ = allowed && runtime_lends_; }

  /// True if JavaScript can see our memory without a copy. If false, write results to memory of allocate()
  /// instead.
  bool lends() const;

  /// Host memory for a tensor that JavaScript will hold. Throws ERR_OUT_OF_MEMORY.
  Storage allocate(Napi::Env env, std::size_t bytes, bool zeroed);

  /// A new handle for `storage`.
  Napi::Value wrap(Napi::Env env, Storage storage);

  /// The same with a handle that `make` returns: see HandleTable::add(). If `frozen`, other environments may hold the
  /// memory.
  template <typename Make>
  Napi::Value wrap(Napi::Env env, Storage storage, bool frozen, Make&& make) {
    if (entries_.is_due()) sweep(env);
    Entry entry = entry_for(std::move(storage), frozen);
    const Cost cost = cost_of(entry);
    const Napi::Object handle = entries_.add(env, std::move(entry), cost.bytes, std::forward<Make>(make));
    count(env, cost);
    return handle;
  }

  /// The storage behind a handle, by its number: see read_handle(). Throws ERR_INVALID_ARG_TYPE or
  /// ERR_DISPOSED.
  const Storage& unwrap(int64_t handle);

  struct Shared {
    Napi::ArrayBuffer buffer;
    /// True if the buffer uses the storage's own memory; then the handle stays valid. If false, V8 owns
    /// `buffer` and the handle is disposed.
    bool lent;
  };

  /// Shows the storage's memory to JavaScript. Call it once per handle: lib/ keeps the buffer.
  Shared share(Napi::Env env, int64_t handle);

  /// True if only this handle holds its memory.
  bool is_alone(int64_t handle);

  /// Prepares the memory for another environment. True if the memory is frozen from now on. `alone` says that is_alone() held and
  /// that the handle will be disposed: then memory that was not frozen stays so, and who gets it may write. Nothing if the memory cannot
  /// leave this environment: V8 owns it or JavaScript has seen it.
  std::optional<bool> freeze(int64_t handle, bool alone);

  /// Prepares host memory for a write. Frozen memory, and memory that requests or batches use, is replaced by a copy: they keep the
  /// elements of the moment when they were submitted. JavaScript has to take care of memory that it has seen.
  void make_writable(Napi::Env env, int64_t handle);

  /// Drops the handle and its count. Idempotent.
  void dispose(Napi::Env env, int64_t handle);

  /// Frees the storages that other threads have released.
  void collect(Napi::Env env) { js_memory_.collect(env); }

  /// Called after a garbage collection. Sweeps collected handles if that costs little.
  void after_collection(Napi::Env env) {
    if (entries_.is_cheap()) sweep(env);
  }

  /// Called when the environment ends.
  void close() { js_memory_.close(); }

  const MemoryCounters& counters() const { return *counters_; }

 private:
  struct Block;
  struct Entry {
    std::shared_ptr<Block> block;  // Null after share() gave the memory to V8.
    /// The bytes that were reported to the garbage collector for this handle.
    int64_t reported = 0;
  };

  struct Cost {
    int64_t bytes;
    int64_t reported;
  };

  static Entry entry_for(Storage storage, bool frozen);
  static Cost cost_of(const Entry& entry);
  void count(Napi::Env env, Cost cost);
  Entry& entry_of(int64_t handle);
  int64_t let_go(Entry& entry);
  void release(Napi::Env env, Entry& entry);
  Napi::ArrayBuffer lend(Napi::Env env, Entry& entry);
  void sweep(Napi::Env env);

  bool runtime_lends_;
  bool may_lend_ = false;
  JsMemory js_memory_;
  // Shared with the loans: Node may return them after the registry is destroyed.
  std::shared_ptr<MemoryCounters> counters_ = std::make_shared<MemoryCounters>();
  HandleTable<Entry> entries_;
};

}  // namespace tokenlearner
