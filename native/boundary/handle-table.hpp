// The native values that JavaScript holds through handles.
//
// Note: [Handles without finalizers]
// A handle is a plain object with a number. A table maps the number to the value. A weak reference shows if
// the handle was collected. There are no finalizers: they run only between turns of the event loop, and each
// needs its own record until then. In a loop that never returns to the event loop, memory would grow with
// every handle. Instead the table is swept as it grows, and after a garbage collection
// (Addon::watch_collector). Numbers are never reused, so an old or invented number finds nothing.
#pragma once

#include <napi.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <unordered_map>
#include <utility>

namespace tokenlearner {

/// The number in a handle, or given instead of it: a property costs more to read than the rest of an argument. -1 for
/// any other value. May run JavaScript (a getter of a forged handle).
inline int64_t read_handle(Napi::Value handle) {
  if (handle.IsNumber()) return handle.As<Napi::Number>().Int64Value();
  if (!handle.IsObject() || handle.IsTypedArray()) return -1;
  const Napi::Value id = handle.As<Napi::Object>().Get("id");
  return id.IsNumber() ? id.As<Napi::Number>().Int64Value() : -1;
}

/// A table for values of one kind. The environment's thread only.
template <typename T>
class HandleTable {
 public:
  /// Adds a value and returns its new handle. `cost` is the number of bytes that the handle keeps alive.
  Napi::Object add(Napi::Env env, T value, int64_t cost) {
    return add(env, std::move(value), cost, plain_handle);
  }

  /// An object with a number.
  static Napi::Object plain_handle(Napi::Number id) {
    auto handle = Napi::Object::New(id.Env());
    const napi_property_descriptor property = {"id",    nullptr, nullptr,      nullptr,
                                               nullptr, id,      napi_default, nullptr};
    NAPI_THROW_IF_FAILED(id.Env(), napi_define_properties(id.Env(), handle, 1, &property), handle);
    return handle;
  }

  /// The same with a handle of the caller's: `make` gets the number and returns an object that has it as `id`.
  template <typename Make>
  Napi::Object add(Napi::Env env, T value, int64_t cost, Make&& make) {
    const int64_t id = next_id();
    const Napi::Object handle = make(Napi::Number::New(env, static_cast<double>(id)));
    napi_ref weak = nullptr;
    NAPI_THROW_IF_FAILED(env, napi_create_reference(env, handle, 0, &weak), handle);
    slots_.emplace(id, Slot{std::move(value), weak});
    ++added_;
    cost_ += cost + kHandleCost;
    return handle;
  }

  /// The value of the handle with that number, or null.
  T* find(int64_t id) {
    const auto found = slots_.find(id);
    return found == slots_.end() ? nullptr : &found->second.value;
  }

  /// True if a handle had that number, here or in another environment.
  static bool was_issued(int64_t id) { return id > 0 && id <= last_id().load(std::memory_order_relaxed); }

  /// Removes a value before its handle is collected, without waiting for a sweep.
  void remove(Napi::Env env, int64_t id) {
    const auto found = slots_.find(id);
    if (found == slots_.end()) return;
    napi_delete_reference(env, found->second.weak);
    slots_.erase(found);
  }

  /// True if so much was added since the last sweep that a new one pays off.
  bool is_due() const { return cost_ > kSweepCost || added_ > std::max(kFewHandles, swept_size_); }

  /// True if a sweep costs little compared with the garbage collection before it.
  bool is_cheap() const {
    return slots_.size() <= kFewHandles ||
           std::chrono::steady_clock::now() - swept_at_ > std::chrono::seconds(1);
  }

  /// Calls `visit` for each value. Runs no JavaScript unless `visit` does.
  template <typename F>
  void for_each(F&& visit) {
    for (auto& [id, slot] : slots_) visit(slot.value);
  }

  /// Drops all values. The environment is ending, and frees the references itself.
  void clear() { slots_.clear(); }

  /// Calls `let_go` for each value whose handle was collected, and removes the value. Runs no JavaScript and
  /// no finalizer unless `let_go` does.
  template <typename F>
  void sweep(Napi::Env env, F&& let_go) {
    const Napi::HandleScope scope(env);
    for (auto next = slots_.begin(); next != slots_.end();) {
      const auto current = next++;
      napi_value handle = nullptr;
      if (napi_get_reference_value(env, current->second.weak, &handle) != napi_ok || handle != nullptr)
        continue;
      napi_delete_reference(env, current->second.weak);
      let_go(current->second.value);
      slots_.erase(current);
    }
    added_ = 0;
    cost_ = 0;
    swept_size_ = slots_.size();
    swept_at_ = std::chrono::steady_clock::now();
  }

  /// An upper bound in bytes for a handle's own memory, in Node and here, without its value.
  static constexpr int64_t kHandleCost = 1024;

 private:
  struct Slot {
    T value;
    napi_ref weak;
  };

  static std::atomic<int64_t>& last_id() {
    static std::atomic<int64_t> last = 0;
    return last;
  }
  static int64_t next_id() { return ++last_id(); }

  static constexpr int64_t kSweepCost = 64 << 20;
  static constexpr std::size_t kFewHandles = 4096;

  std::unordered_map<int64_t, Slot> slots_;
  std::size_t added_ = 0;
  std::size_t swept_size_ = 0;
  int64_t cost_ = 0;
  std::chrono::steady_clock::time_point swept_at_{};
};

}  // namespace tokenlearner
