// Addon methods on tensors: memory, random numbers, copies.

#include <cstring>

#include "boundary/addon.hpp"
#include "boundary/marshal.hpp"
#include "engine/aten.hpp"
#include "engine/cuda-probe.hpp"
#include "engine/cuda-stream.hpp"
#include "engine/staging.hpp"

namespace tokenlearner {

namespace {

/// What the generator fills.
Tensor to_target(const StorageRegistry& storages, Napi::Value value) {
  Tensor target = to_tensor(storages, value);
  if (!target.device().is_cpu()) {
    throw Error(ErrorCode::ERR_DEVICE_MISMATCH, "Random numbers are drawn on the CPU");
  }
  if (!target.is_contiguous()) {
    throw Error(ErrorCode::ERR_NOT_CONTIGUOUS, "Random numbers are drawn into contiguous tensors");
  }
  return target;
}

}  // namespace

Napi::Value Addon::allocate(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const double bytes = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1.0;
    if (!(bytes >= 0 && bytes <= 9007199254740991.0)) {
      throw Error(ErrorCode::ERR_OUT_OF_RANGE, "Expected a non-negative integer for `byteLength`");
    }
    const bool zeroed = info[1].ToBoolean();
    const bool pinned = info[2].ToBoolean() && probe_cuda().available;
    const auto size = static_cast<std::size_t>(bytes);
    if (!pinned) return storages_.wrap(env, Storage::allocate(size, zeroed));
    const Storage storage = empty_pinned({static_cast<int64_t>(size)}, DType::kUint8).storage;
    if (zeroed) std::memset(storage.data(), 0, size);
    return storages_.wrap(env, storage);
  });
}

Napi::Value Addon::buffer(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) { return storages_.buffer(env, info[0]); });
}

Napi::Value Addon::dispose_storage(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    storages_.dispose(env, info[0]);
    return env.Undefined();
  });
}

Napi::Value Addon::counters(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    auto object = Napi::Object::New(env);
    object.Set("liveTensors", static_cast<double>(storages_.counters().tensors));
    object.Set("liveBytes", static_cast<double>(storages_.counters().bytes));
    object.Set("liveLayers", static_cast<double>(*live_layers_));
    return object;
  });
}

Napi::Value Addon::manual_seed(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    if (!info[0].IsBigInt()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a bigint for `seed`");
    bool lossless = false;
    generator_.manual_seed(info[0].As<Napi::BigInt>().Uint64Value(&lossless));
    return env.Undefined();
  });
}

Napi::Value Addon::uniform(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    generator_.uniform(to_target(storages_, info[0]), info[1].ToNumber(), info[2].ToNumber());
    return env.Undefined();
  });
}

Napi::Value Addon::normal(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    generator_.normal(to_target(storages_, info[0]));
    return env.Undefined();
  });
}

Napi::Value Addon::copy(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const Tensor source = to_tensor(storages_, info[0]);
    const Tensor target = aten::to_copy(source, to_dtype(info[1]), to_device(info[2]));
    // What JavaScript gets is complete.
    synchronize(target.device().is_cuda() ? target.device() : source.device());
    return from_tensor(env, storages_, target);
  });
}

}  // namespace tokenlearner
