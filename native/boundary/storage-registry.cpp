#include "boundary/storage-registry.hpp"

#include <cstring>
#include <utility>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "engine/error.hpp"

namespace tokenlearner {

namespace {

constexpr napi_type_tag kStorageTag = {0x746f6b656e6c6561, 0x73746f7261676501};
// Handles are looked through for collected ones whenever this much new memory was handed out.
constexpr int64_t kSweepBytes = 64 << 20;
// So much lent memory may wait for the event loop.
constexpr int64_t kMostWaiting = 64 << 20;

/// The C library keeps what was freed; without this a loop over large results grows by its fragments.
void return_free_pages() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

/// Whether this runtime allows ArrayBuffers over native memory (Electron does not).
bool allows_external_buffers(Napi::Env env) {
  static char byte = 0;
  napi_value result = nullptr;
  return napi_create_external_arraybuffer(
             env, &byte, 1, [](napi_env, void*, void*) {}, nullptr, &result) == napi_ok;
}

}  // namespace

/// A storage and whether JavaScript has an ArrayBuffer over it.
struct StorageRegistry::Block {
  explicit Block(Storage s) : storage(std::move(s)) {}

  int64_t bytes() const { return static_cast<int64_t>(storage.bytes()); }

  Storage storage;
  bool lent = false;
};

struct StorageRegistry::Entry {
  std::shared_ptr<Block> block;  // Null once disposed.
  std::shared_ptr<MemoryCounters> counters;
  std::shared_ptr<Entries> entries;
  Entries::iterator position;
  Napi::Reference<Napi::Value> handle;  // Weak.
  /// What the garbage collector was told that the handle stands for.
  int64_t reported = 0;
};

StorageRegistry::StorageRegistry(Napi::Env env)
    : runtime_lends_(allows_external_buffers(env)), js_memory_(env) {}

bool StorageRegistry::lends() const {
  return may_lend_ && counters_->lent_bytes - counters_->lent_bytes_held <= kMostWaiting;
}

Storage StorageRegistry::allocate(Napi::Env env, std::size_t bytes, bool zeroed) {
  return lends() ? Storage::allocate(bytes, zeroed) : js_memory_.allocate(env, bytes);
}

Napi::Value StorageRegistry::wrap(Napi::Env env, Storage storage) {
  const auto bytes = static_cast<int64_t>(storage.bytes());
  bytes_since_sweep_ += bytes;
  if (bytes_since_sweep_ > kSweepBytes) sweep(env);

  auto entry = std::make_unique<Entry>();
  entry->block = std::make_shared<Block>(std::move(storage));
  entry->counters = counters_;
  entry->entries = entries_;
  Entry* raw = entry.get();
  auto handle = Napi::External<Entry>::New(env, raw, [](Napi::Env e, Entry* dead) {
    release(e, *dead);
    delete dead;
  });
  entry.release();  // The external owns it from here.
  // All that release() takes back comes before what may throw, as every call does once a worker is
  // terminated.
  raw->position = entries_->insert(entries_->end(), raw);
  counters_->tensors += 1;
  counters_->bytes += bytes;
  // V8 counts its own memory itself.
  raw->reported = JsMemory::owns(raw->block->storage) ? 0 : bytes;
  Napi::MemoryManagement::AdjustExternalMemory(env, raw->reported);
  raw->handle = Napi::Reference<Napi::Value>::New(handle, 0);
  handle.TypeTag(&kStorageTag);
  return handle;
}

StorageRegistry::Entry& StorageRegistry::entry_of(Napi::Value handle) {
  if (!handle.IsExternal() || !handle.As<Napi::External<Entry>>().CheckTypeTag(&kStorageTag)) {
    throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a tensor's storage");
  }
  return *handle.As<Napi::External<Entry>>().Data();
}

const Storage& StorageRegistry::unwrap(Napi::Value handle) const {
  const Entry& entry = entry_of(handle);
  if (entry.block == nullptr) throw Error(ErrorCode::ERR_DISPOSED, "The tensor was disposed");
  return entry.block->storage;
}

StorageRegistry::Shared StorageRegistry::share(Napi::Env env, Napi::Value handle) {
  Entry& entry = entry_of(handle);
  const Storage& storage = unwrap(handle);
  if (!storage.device().is_cpu()) {
    throw Error(ErrorCode::ERR_DEVICE_MISMATCH,
                "The tensor is on " + storage.device().to_string() + ", not on the CPU");
  }
  // A second buffer over the same memory would outlive the first one's transfer.
  if (entry.block->lent)
    throw Error(ErrorCode::ERR_DETACHED, "JavaScript has an ArrayBuffer over this memory already");
  if (JsMemory::owns(storage)) {
    Storage revealed = storage;
    release(env, entry);
    return {js_memory_.reveal(env, std::move(revealed)), false};
  }
  if (lends() && storage.bytes() > 0) return {lend(env, entry), true};
  Storage copy = js_memory_.allocate(env, storage.bytes());
  if (storage.bytes() > 0) std::memcpy(copy.data(), storage.data(), storage.bytes());
  release(env, entry);
  return {js_memory_.reveal(env, std::move(copy)), false};
}

Napi::ArrayBuffer StorageRegistry::lend(Napi::Env env, Entry& entry) {
  struct Loan {
    std::shared_ptr<Block> block;
    std::shared_ptr<MemoryCounters> counters;
  };
  const std::shared_ptr<Block>& block = entry.block;
  auto* const loan = new Loan{block, entry.counters};
  napi_value result = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, block->storage.data(), block->storage.bytes(),
      [](napi_env, void*, void* hint) {
        const std::unique_ptr<Loan> returned(static_cast<Loan*>(hint));
        returned->counters->lent_bytes -= returned->block->bytes();
      },
      loan, &result);
  if (status != napi_ok) {
    // After a failure of its own Node runs the finalizer; a call that it refused leaves `loan` to us.
    if (status == napi_generic_failure) {
      entry.counters->lent_bytes += block->bytes();
    } else {
      delete loan;
    }
    if (env.IsExceptionPending()) env.GetAndClearPendingException();
    throw Error(ErrorCode::ERR_UNSUPPORTED_BUFFER,
                "This runtime does not allow ArrayBuffers over native memory");
  }
  block->lent = true;
  entry.counters->lent_bytes += block->bytes();
  entry.counters->lent_bytes_held += block->bytes();
  // V8 counts what is under its ArrayBuffers itself.
  Napi::MemoryManagement::AdjustExternalMemory(env, -std::exchange(entry.reported, 0));
  return {env, result};
}

/// Drops the handle's count; what the garbage collector is to be told.
int64_t StorageRegistry::let_go(Entry& entry) {
  if (entry.block == nullptr) return 0;
  const int64_t bytes = entry.block->bytes();
  entry.counters->tensors -= 1;
  entry.counters->bytes -= bytes;
  if (entry.block->lent) entry.counters->lent_bytes_held -= bytes;
  entry.block.reset();
  entry.entries->erase(entry.position);
  return -std::exchange(entry.reported, 0);
}

void StorageRegistry::release(Napi::Env env, Entry& entry) {
  const int64_t change = let_go(entry);
  if (change != 0) Napi::MemoryManagement::AdjustExternalMemory(env, change);
}

void StorageRegistry::dispose(Napi::Env env, Napi::Value handle) {
  release(env, entry_of(handle));
  js_memory_.collect(env);
}

void StorageRegistry::sweep(Napi::Env env) {
  bytes_since_sweep_ = 0;
  const Napi::HandleScope scope(env);
  int64_t change = 0;
  // Nothing in the loop runs JavaScript or a finalizer: the collector is told afterwards.
  for (auto next = entries_->begin(); next != entries_->end();) {
    Entry& entry = **next++;
    if (entry.handle.Value().IsEmpty()) change += let_go(entry);
  }
  js_memory_.collect(env);
  if (change != 0) Napi::MemoryManagement::AdjustExternalMemory(env, change);
  return_free_pages();
}

}  // namespace tokenlearner
