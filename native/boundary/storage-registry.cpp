#include "boundary/storage-registry.hpp"

#include <atomic>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/cuda/staging.hpp"
#include "engine/error.hpp"
#include "engine/memory/host-blocks.hpp"

namespace tokenlearner {

namespace {

// The maximum number of bytes of lent memory that may wait for the event loop.
constexpr int64_t kMostWaiting = 64 << 20;
constexpr int64_t kLoanCost = 2048;

/// True if the host allows ArrayBuffers over native memory. Node does, Electron does not.
bool allows_external_buffers(Napi::Env env) {
  static char byte = 0;
  napi_value result = nullptr;
  return napi_create_external_arraybuffer(
             env, &byte, 1, [](napi_env, void*, void*) {}, nullptr, &result) == napi_ok;
}

}  // namespace

/// A storage, and a flag that is true if JavaScript has an ArrayBuffer over it.
struct StorageRegistry::Block {
  explicit Block(Storage s) : storage(std::move(s)) {}

  int64_t bytes() const { return static_cast<int64_t>(storage.bytes()); }
  /// The storage's bytes, plus the memory that Node keeps for an ArrayBuffer over it until a turn of the
  /// event loop.
  int64_t cost() const { return bytes() + kLoanCost; }

  Storage storage;
  bool lent = false;
  bool frozen = false;
};

StorageRegistry::StorageRegistry(Napi::Env env)
    : runtime_lends_(allows_external_buffers(env)), js_memory_(env) {}

bool StorageRegistry::lends() const {
  return may_lend_ && counters_->lent_bytes - counters_->lent_bytes_held <= kMostWaiting;
}

Storage StorageRegistry::allocate(Napi::Env env, std::size_t bytes, bool zeroed) {
  return lends() ? Storage::allocate(bytes, zeroed) : js_memory_.allocate(env, bytes);
}

StorageRegistry::Entry StorageRegistry::entry_for(Storage storage, bool frozen) {
  Entry entry;
  entry.block = std::make_shared<Block>(std::move(storage));
  entry.block->frozen = frozen;
  // V8 already counts its own memory. Frozen memory is not freed with this handle.
  entry.reported = frozen || JsMemory::owns(entry.block->storage) ? 0 : entry.block->bytes();
  return entry;
}

StorageRegistry::Cost StorageRegistry::cost_of(const Entry& entry) {
  return {entry.block->bytes(), entry.reported};
}

void StorageRegistry::count(Napi::Env env, Cost cost) {
  counters_->tensors += 1;
  counters_->bytes += cost.bytes;
  if (cost.reported != 0) Napi::MemoryManagement::AdjustExternalMemory(env, cost.reported);
}

Napi::Value StorageRegistry::wrap(Napi::Env env, Storage storage) {
  return wrap(env, std::move(storage), false, HandleTable<Entry>::plain_handle);
}

StorageRegistry::Entry& StorageRegistry::entry_of(int64_t handle) {
  Entry* const entry = entries_.find(handle);
  if (entry != nullptr && entry->block != nullptr) return *entry;
  if (entry != nullptr || HandleTable<Entry>::was_issued(handle))
    throw Error(ErrorCode::ERR_DISPOSED, "The tensor was disposed");
  throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a tensor's storage");
}

const Storage& StorageRegistry::unwrap(int64_t handle) { return entry_of(handle).block->storage; }

StorageRegistry::Shared StorageRegistry::share(Napi::Env env, int64_t handle) {
  Entry& entry = entry_of(handle);
  const Storage& storage = unwrap(handle);
  if (!storage.device().is_cpu()) {
    throw Error(ErrorCode::ERR_DEVICE_MISMATCH,
                "The tensor is on " + storage.device().to_string() + ", not on the CPU");
  }
  // If the first buffer were transferred, a second one over the same memory would stay.
  if (entry.block->lent)
    throw Error(ErrorCode::ERR_DETACHED, "JavaScript has an ArrayBuffer over this memory already");
  if (JsMemory::owns(storage)) {
    Storage revealed = storage;
    release(env, entry);
    return {js_memory_.reveal(env, std::move(revealed)), false};
  }
  if (lends() && !entry.block->frozen && storage.bytes() > 0) return {lend(env, entry), true};
  Storage copy = js_memory_.allocate(env, storage.bytes());
  if (storage.bytes() > 0) std::memcpy(copy.data(), storage.data(), storage.bytes());
  release(env, entry);
  return {js_memory_.reveal(env, std::move(copy)), false};
}

std::optional<bool> StorageRegistry::freeze(int64_t handle, bool alone) {
  Entry* const entry = entries_.find(handle);
  if (entry == nullptr || entry->block == nullptr || entry->block->lent ||
      JsMemory::owns(entry->block->storage))
    return std::nullopt;
  Block& block = *entry->block;
  if (alone && !block.frozen) return false;
  block.frozen = true;
  return true;
}

bool StorageRegistry::is_alone(int64_t handle) {
  Entry* const entry = entries_.find(handle);
  if (entry == nullptr || entry->block == nullptr || entry->block->storage.owner().use_count() != 1)
    return false;
  // Runs on other threads have read the memory before they released it.
  std::atomic_thread_fence(std::memory_order_acquire);
  return true;
}

void StorageRegistry::make_writable(Napi::Env env, int64_t handle) {
  Entry* const entry = entries_.find(handle);
  if (entry == nullptr || entry->block == nullptr) return;
  const Block& block = *entry->block;
  const Storage& shared = block.storage;
  if (block.lent || !shared.device().is_cpu() || (!block.frozen && is_alone(handle))) return;
  Storage copy = host_storage(shared.bytes(), shared.pinned());
  if (shared.bytes() > 0) std::memcpy(copy.data(), shared.data(), shared.bytes());
  entry->block = std::make_shared<Block>(std::move(copy));
  const int64_t change = entry->block->bytes() - entry->reported;
  entry->reported += change;
  if (change != 0) Napi::MemoryManagement::AdjustExternalMemory(env, change);
}

Napi::ArrayBuffer StorageRegistry::lend(Napi::Env env, Entry& entry) {
  struct Loan {
    std::shared_ptr<Block> block;
    std::shared_ptr<MemoryCounters> counters;
  };
  const std::shared_ptr<Block>& block = entry.block;
  auto* const loan = new Loan{block, counters_};
  napi_value result = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, block->storage.data(), block->storage.bytes(),
      [](napi_env, void*, void* hint) {
        const std::unique_ptr<Loan> returned(static_cast<Loan*>(hint));
        returned->counters->lent_bytes -= returned->block->cost();
      },
      loan, &result);
  if (status != napi_ok) {
    // If the call fails inside Node, Node runs the finalizer. If Node refuses the call, we still own `loan`.
    if (status == napi_generic_failure) {
      counters_->lent_bytes += block->cost();
    } else {
      delete loan;
    }
    if (env.IsExceptionPending()) env.GetAndClearPendingException();
    throw Error(ErrorCode::ERR_UNSUPPORTED_BUFFER,
                "This runtime does not allow ArrayBuffers over native memory");
  }
  block->lent = true;
  counters_->lent_bytes += block->cost();
  counters_->lent_bytes_held += block->cost();
  // V8 itself counts the memory under its ArrayBuffers.
  Napi::MemoryManagement::AdjustExternalMemory(env, -std::exchange(entry.reported, 0));
  return {env, result};
}

/// Drops the handle's count. Returns the change in bytes that must be reported to the garbage collector.
int64_t StorageRegistry::let_go(Entry& entry) {
  if (entry.block == nullptr) return 0;
  counters_->tensors -= 1;
  counters_->bytes -= entry.block->bytes();
  if (entry.block->lent) counters_->lent_bytes_held -= entry.block->cost();
  entry.block.reset();
  return -std::exchange(entry.reported, 0);
}

void StorageRegistry::release(Napi::Env env, Entry& entry) {
  const int64_t change = let_go(entry);
  if (change != 0) Napi::MemoryManagement::AdjustExternalMemory(env, change);
}

void StorageRegistry::dispose(Napi::Env env, int64_t handle) {
  Entry* const entry = entries_.find(handle);
  if (entry != nullptr) {
    release(env, *entry);
    entries_.remove(env, handle);
  } else if (!HandleTable<Entry>::was_issued(handle)) {
    throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a tensor's storage");
  }
  js_memory_.collect(env);
}

void StorageRegistry::sweep(Napi::Env env) {
  int64_t change = 0;
  entries_.sweep(env, [&](Entry& entry) { change += let_go(entry); });
  js_memory_.collect(env);
  // Only after the sweep: this call may start a garbage collection.
  if (change != 0) Napi::MemoryManagement::AdjustExternalMemory(env, change);
  trim_freed();
}

}  // namespace tokenlearner
