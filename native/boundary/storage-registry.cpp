#include "boundary/storage-registry.hpp"

#include <cstring>
#include <utility>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "engine/error.hpp"

namespace tokenlearner {

namespace {

constexpr napi_type_tag kStorageTag = {0x746f6b656e6c6561, 0x73746f7261676501};
// Handles are looked through for collected ones whenever this much new memory was handed out.
constexpr int64_t kSweepBytes = 64 << 20;

/// The C library keeps what was freed; without this a loop over large results grows by its fragments.
void return_free_pages() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace

/// Memory with its share of the counters; the last holder gives both back.
struct StorageRegistry::Block {
  Block(Storage s, std::shared_ptr<MemoryCounters> c) : storage(std::move(s)), counters(std::move(c)) {
    counters->bytes += static_cast<int64_t>(storage.bytes());
  }
  ~Block() { give_back(); }
  void give_back() {
    counters->bytes -= static_cast<int64_t>(storage.bytes());
    storage = Storage();
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  Storage storage;
  std::shared_ptr<MemoryCounters> counters;
};

struct StorageRegistry::Entry {
  std::shared_ptr<Block> block;  // Null once disposed.
  std::shared_ptr<MemoryCounters> counters;
  std::shared_ptr<Entries> entries;
  Entries::iterator position;
  Napi::Reference<Napi::Value> handle;        // Weak.
  Napi::Reference<Napi::ArrayBuffer> buffer;  // Weak.
};

Napi::Value StorageRegistry::wrap(Napi::Env env, Storage storage) {
  const auto bytes = static_cast<int64_t>(storage.bytes());
  bytes_since_sweep_ += bytes;
  if (bytes_since_sweep_ > kSweepBytes) sweep(env);

  auto entry = std::make_unique<Entry>();
  entry->block = std::make_shared<Block>(std::move(storage), counters_);
  entry->counters = counters_;
  entry->entries = entries_;
  Entry* raw = entry.get();
  auto handle = Napi::External<Entry>::New(env, raw, [](Napi::Env e, Entry* dead) { finalize(e, dead); });
  entry.release();  // The external owns it from here.
  // All that release() takes back comes before what may throw, as every call does once a worker is
  // terminated.
  raw->position = entries_->insert(entries_->end(), raw);
  counters_->tensors += 1;
  Napi::MemoryManagement::AdjustExternalMemory(env, bytes);
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

bool StorageRegistry::shares_buffers(Napi::Env env) {
  static char byte = 0;
  napi_value result = nullptr;
  return napi_create_external_arraybuffer(
             env, &byte, 1, [](napi_env, void*, void*) {}, nullptr, &result) == napi_ok;
}

Napi::Value StorageRegistry::buffer(Napi::Env env, Napi::Value handle) {
  Entry& entry = entry_of(handle);
  const Storage& storage = unwrap(handle);
  if (!storage.device().is_cpu()) {
    throw Error(ErrorCode::ERR_DEVICE_MISMATCH,
                "The tensor is on " + storage.device().to_string() + ", not on the CPU");
  }
  if (!entry.buffer.IsEmpty()) {
    const Napi::Value existing = entry.buffer.Value();
    if (!existing.IsEmpty() && existing.IsArrayBuffer()) return existing;
  }
  if (storage.bytes() == 0) return Napi::ArrayBuffer::New(env, 0);
  auto* const held = new std::shared_ptr<Block>(entry.block);
  napi_value result = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, storage.data(), storage.bytes(),
      [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<Block>*>(hint); }, held, &result);
  if (status != napi_ok) {
    // After a failure of its own Node runs the finalizer; a call that it refused leaves `held` to us.
    if (status != napi_generic_failure) delete held;
    if (env.IsExceptionPending()) env.GetAndClearPendingException();
    throw Error(ErrorCode::ERR_UNSUPPORTED_BUFFER,
                "This runtime does not allow ArrayBuffers over native memory");
  }
  entry.buffer = Napi::Reference<Napi::ArrayBuffer>::New(Napi::ArrayBuffer(env, result), 0);
  return Napi::Value(env, result);
}

void StorageRegistry::release(Napi::Env env, Entry& entry) {
  if (entry.block == nullptr) return;
  Napi::MemoryManagement::AdjustExternalMemory(env, -static_cast<int64_t>(entry.block->storage.bytes()));
  entry.block.reset();
  entry.counters->tensors -= 1;
  entry.entries->erase(entry.position);
}

void StorageRegistry::dispose(Napi::Env env, Napi::Value handle) {
  Entry& entry = entry_of(handle);
  const std::shared_ptr<Block> block = entry.block;
  release(env, entry);
  if (entry.buffer.IsEmpty()) return;
  const Napi::Value exported = entry.buffer.Value();
  if (!exported.IsEmpty() && exported.IsArrayBuffer()) {
    auto array = exported.As<Napi::ArrayBuffer>();
    // Node runs the finalizer of a detached buffer a turn later: the memory is given back now. Not where the
    // caller has moved it on already (ArrayBuffer.prototype.transfer): then another buffer has it and only
    // the finalizer may.
    if (!array.IsDetached()) {
      array.Detach();
      if (block != nullptr && array.IsDetached()) block->give_back();
    }
  }
  entry.buffer.Reset();
}

void StorageRegistry::finalize(Napi::Env env, Entry* entry) {
  release(env, *entry);
  delete entry;
}

bool StorageRegistry::buffer_is_gone(Napi::Env env, const Entry& entry) {
  // Where ArrayBuffer.prototype.transfer exists, a buffer may be gone and its memory live on in another one:
  // there only the finalizer knows.
  const auto prototype =
      env.Global().Get("ArrayBuffer").As<Napi::Object>().Get("prototype").As<Napi::Object>();
  return entry.buffer.Value().IsEmpty() && !prototype.Has("transfer");
}

void StorageRegistry::sweep(Napi::Env env) {
  bytes_since_sweep_ = 0;
  const Napi::HandleScope scope(env);
  for (auto next = entries_->begin(); next != entries_->end();) {
    Entry& entry = **next++;
    if (!entry.handle.Value().IsEmpty()) continue;
    const std::shared_ptr<Block> block = entry.block;
    if (entry.buffer.IsEmpty()) {
      release(env, entry);
    } else if (buffer_is_gone(env, entry)) {
      release(env, entry);
      block->give_back();
    }
  }
  return_free_pages();
}

}  // namespace tokenlearner
