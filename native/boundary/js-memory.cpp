#include "boundary/js-memory.hpp"

#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/error.hpp"

namespace tokenlearner {

/// References that no storage needs any more. Any thread adds to them. The environment's thread deletes them.
struct JsMemory::Released {
  std::mutex mutex;
  std::vector<napi_ref> references;
  bool closed = false;
};

/// An ArrayBuffer that only native code holds, through a strong reference.
struct JsMemory::Hidden {
  napi_ref reference;
};

/// The deleter that a storage's last holder calls, on any thread.
struct JsMemory::Release {
  std::shared_ptr<Released> released;

  void operator()(Hidden* hidden) const noexcept {
    const std::unique_ptr<Hidden> dead(hidden);
    if (dead->reference == nullptr) return;  // JavaScript has the buffer now.
    const std::lock_guard lock(released->mutex);
    if (released->closed) return;
    try {
      released->references.push_back(dead->reference);
    } catch (...) {
      // If there is no memory for this pointer, the buffer stays until the environment ends.
    }
  }
};

JsMemory::JsMemory(Napi::Env env) : released_(std::make_shared<Released>()) {
  // Read it now: scripts can replace the global later.
  const Napi::Value constructor = env.Global().Get("ArrayBuffer");
  if (constructor.IsFunction()) constructor_ = Napi::Persistent(constructor.As<Napi::Function>());
}

Napi::ArrayBuffer JsMemory::create(Napi::Env env, std::size_t bytes) const {
  // Use the constructor, which throws if memory is short. napi_create_arraybuffer would end the process.
  try {
    const Napi::Value made = constructor_.New({Napi::Number::New(env, static_cast<double>(bytes))});
    if (made.IsArrayBuffer() && made.As<Napi::ArrayBuffer>().ByteLength() == bytes)
      return made.As<Napi::ArrayBuffer>();
  } catch (const Napi::Error&) {
    // A RangeError, or the worker is being terminated.
  }
  throw Error(ErrorCode::ERR_OUT_OF_MEMORY, "Could not allocate " + std::to_string(bytes) + " bytes");
}

Storage JsMemory::allocate(Napi::Env env, std::size_t bytes) {
  collect(env);
  const Napi::HandleScope scope(env);
  Napi::ArrayBuffer buffer = create(env, bytes);
  napi_ref reference = nullptr;
  NAPI_THROW_IF_FAILED(env, napi_create_reference(env, buffer, 1, &reference), Storage());
  const std::shared_ptr<Hidden> hidden(new Hidden{reference}, Release{released_});
  return {hidden, buffer.Data(), bytes, Device::cpu()};
}

bool JsMemory::owns(const Storage& storage) { return std::get_deleter<Release>(storage.owner()) != nullptr; }

Napi::ArrayBuffer JsMemory::reveal(Napi::Env env, Storage storage) {
  if (storage.owner().use_count() > 1) {
    Napi::ArrayBuffer copy = create(env, storage.bytes());
    if (storage.bytes() > 0) std::memcpy(copy.Data(), storage.data(), storage.bytes());
    return copy;
  }
  Hidden& hidden = *static_cast<Hidden*>(storage.owner().get());
  napi_value value = nullptr;
  NAPI_THROW_IF_FAILED(env, napi_get_reference_value(env, hidden.reference, &value), Napi::ArrayBuffer());
  NAPI_THROW_IF_FAILED(env, napi_delete_reference(env, hidden.reference), Napi::ArrayBuffer());
  hidden.reference = nullptr;
  return {env, value};
}

void JsMemory::collect(Napi::Env env) {
  std::vector<napi_ref> references;
  {
    const std::lock_guard lock(released_->mutex);
    references.swap(released_->references);
  }
  if (references.empty()) return;
  // Do not detach the buffers, although that would free them at once: Node 20 ends the process if the worker
  // is being terminated.
  for (napi_ref reference : references) napi_delete_reference(env, reference);
}

void JsMemory::close() {
  const std::lock_guard lock(released_->mutex);
  released_->closed = true;
  released_->references.clear();
}

}  // namespace tokenlearner
