// Addon methods on tensors: memory, random numbers, copies.

#include <algorithm>
#include <cstring>
#include <utility>

#include "boundary/addon.hpp"
#include "boundary/marshal.hpp"
#include "engine/cuda/probe.hpp"
#include "engine/cuda/staging.hpp"
#include "engine/run/copy-op.hpp"
#include "engine/run/random-op.hpp"
#include "engine/run/shared-values.hpp"

namespace tokenlearner {

namespace {

/// `argument` as a contiguous tensor on the CPU. The caller reads or writes it in place.
Tensor bind_host(StorageRegistry& storages, TensorArg argument) {
  Tensor tensor = bind_tensor(storages, std::move(argument));
  if (!tensor.device().is_cpu()) throw Error(ErrorCode::ERR_DEVICE_MISMATCH, "Expected a tensor on the CPU");
  if (!tensor.is_contiguous()) throw Error(ErrorCode::ERR_NOT_CONTIGUOUS, "Expected a contiguous tensor");
  return tensor;
}

/// The same for a tensor that the caller writes into.
Tensor bind_target(Napi::Env env, StorageRegistry& storages, TensorArg argument) {
  if (argument.view.IsEmpty()) storages.make_writable(env, argument.handle);
  return bind_host(storages, std::move(argument));
}

/// Throws unless the typed array has as many bytes as the tensor.
void check_length(const Tensor& tensor, const Storage& view) {
  if (view.bytes() != tensor.byte_length())
    throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "Expected a typed array of the tensor's length");
}

/// New host memory. It is page-locked if `pinned` is set and there is a usable GPU.
Storage new_storage(Napi::Env env, StorageRegistry& storages, std::size_t bytes, bool zeroed, bool pinned) {
  if (!pinned || !probe_cuda().available) return storages.allocate(env, bytes, zeroed);
  Storage storage = host_storage(bytes, true);
  if (zeroed) std::memset(storage.data(), 0, bytes);
  return storage;
}

}  // namespace

Napi::Value Addon::allocate(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const double bytes = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : -1.0;
    if (!(bytes >= 0 && bytes <= 9007199254740991.0)) {
      throw Error(ErrorCode::ERR_OUT_OF_RANGE, "Expected a non-negative integer for `byteLength`");
    }
    return storages_.wrap(env, new_storage(env, storages_, static_cast<std::size_t>(bytes),
                                           info[1].ToBoolean(), info[2].ToBoolean()));
  });
}

Napi::Value Addon::share(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const StorageRegistry::Shared shared = storages_.share(env, read_handle(info[0]));
    return from_values(env, {shared.buffer, Napi::Boolean::New(env, shared.lent)});
  });
}

Napi::Value Addon::dispose_storage(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    storages_.dispose(env, read_handle(info[0]));
    return env.Undefined();
  });
}

Napi::Value Addon::detach(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    if (!info[0].IsArrayBuffer())
      throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected an ArrayBuffer to detach");
    return Napi::Boolean::New(env, napi_detach_arraybuffer(env, info[0]) == napi_ok);
  });
}

Napi::Value Addon::counters(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    auto object = Napi::Object::New(env);
    object.Set("liveTensors", static_cast<double>(storages_.counters().tensors));
    object.Set("liveBytes", static_cast<double>(storages_.counters().bytes));
    object.Set("liveLayers", static_cast<double>(*live_layers_));
    object.Set("liveShares", static_cast<double>(SharedValues::process().size()));
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
    TensorArg target = read_tensor(info[0]);
    const double from = info[1].ToNumber();
    const double to = info[2].ToNumber();
    generator_.uniform(bind_target(env, storages_, std::move(target)), from, to);
    return env.Undefined();
  });
}

Napi::Value Addon::normal(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const DType dtype = to_dtype(info[1]);
    generator_.normal(bind_target(env, storages_, read_tensor(info[0])), dtype);
    return env.Undefined();
  });
}

Napi::Value Addon::random_async(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    using Method = RandomOp::Method;
    const RandomOp::Settings settings{info[0].ToBoolean() ? Method::normal : Method::uniform,
                                      to_dims(info[1], "shape")};
    const Placement target = to_placement(info[2], info[3]);
    // Memory first: moving the generator on for more numbers than fit in memory would take very long.
    CallOptions options;
    options.results.push_back(new_storage(env, storages_, settings.byte_length(target.dtype), false,
                                          info[4].ToBoolean() || target.device.is_cuda()));
    auto op = std::make_shared<const RandomOp>(generator_, settings, target);
    const Napi::Value promise = submit(env, std::move(op), {}, std::move(options), {});
    // Not before it is accepted: a refused request draws nothing.
    RandomOp::skip(generator_, settings, target.dtype);
    return promise;
  });
}

Napi::Value Addon::copy(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    TensorArg argument = read_tensor(info[0]);
    const DType dtype = to_dtype(info[1]);
    const Device device = to_device(info[2]);
    const Tensor source = bind_tensor(storages_, std::move(argument));
    return tensors_.make(env, completed_copy(source, dtype, device));
  });
}

Napi::Value Addon::copy_async(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    std::vector<TensorArg> source{read_tensor(info[0])};
    const DType dtype = to_dtype(info[1]);
    auto op = std::make_shared<const CopyOp>(Placement{dtype, to_device(info[2])});
    CallOptions options = options_for(*op, source, env.Undefined());
    return submit(env, std::move(op), std::move(source), std::move(options), {});
  });
}

Napi::Value Addon::read(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    TensorArg argument = read_tensor(info[0]);
    const Tensor source = bind_host(storages_, std::move(argument));
    const Storage target = borrow_view(env, info[1]);
    check_length(source, target);
    // Both may be the same memory.
    if (target.bytes() > 0) std::memmove(target.data(), source.data(), target.bytes());
    return env.Undefined();
  });
}

Napi::Value Addon::write(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    TensorArg argument = read_tensor(info[0]);
    const Tensor target = bind_target(env, storages_, std::move(argument));
    const Storage source = borrow_view(env, info[1]);
    check_length(target, source);
    if (source.bytes() > 0) std::memmove(target.data(), source.data(), source.bytes());
    return env.Undefined();
  });
}

Napi::Value Addon::fill(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    TensorArg argument = read_tensor(info[0]);
    const Tensor target = bind_target(env, storages_, std::move(argument));
    const Storage element = borrow_view(env, info[1]);
    const std::size_t item = item_size(target.dtype);
    if (element.bytes() != item)
      throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "Expected a typed array of one element");
    const std::size_t bytes = target.byte_length();
    if (bytes == 0) return env.Undefined();
    std::memcpy(target.data(), element.data(), item);
    // Each step doubles the filled part.
    for (std::size_t done = item; done < bytes; done *= 2)
      std::memcpy(target.data() + done, target.data(), std::min(done, bytes - done));
    return env.Undefined();
  });
}

}  // namespace tokenlearner
