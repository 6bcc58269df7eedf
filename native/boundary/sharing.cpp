// Addon methods that share modules and tensors with other environments. See Note [Sharing between
// environments] in engine/run/shared-values.hpp.

#include <utility>

#include "boundary/addon.hpp"
#include "boundary/marshal.hpp"
#include "engine/run/shared-values.hpp"

namespace tokenlearner {

namespace {

std::string to_id(Napi::Value value) {
  if (!value.IsString()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a string for `id`");
  return value.As<Napi::String>();
}

/// The same elements over the part of the memory that they reach, so that nobody copies more than that.
Tensor narrowed(Tensor tensor) {
  const auto bytes = static_cast<std::size_t>(extent(tensor.shape, tensor.strides)) * item_size(tensor.dtype);
  Storage part(tensor.storage.owner(), tensor.data(), bytes, tensor.device());
  if (tensor.storage.pinned()) part.set_pinned();
  tensor.storage = std::move(part);
  tensor.offset = 0;
  return tensor;
}

}  // namespace

Napi::Value Addon::share_layers(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    SharedValue value;
    value.description = info[0].ToString();
    for (const std::shared_ptr<Layer>& layer : unwrap_each(info[1])) value.ops.push_back(layer->op());
    const std::string id = SharedValues::process().add(std::move(value));
    shared_.insert(id);
    return Napi::String::New(env, id);
  });
}

Napi::Value Addon::open_layers(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    SharedValue value = SharedValues::process().open(to_id(info[0]), SharedValues::Kind::module);
    std::vector<napi_value> handles;
    for (std::shared_ptr<const Op>& op : value.ops) {
      // No memory becomes free when these handles are collected, so the garbage collector hears of none.
      const HeldLayer held{std::make_shared<Layer>(std::move(op), live_layers_), 0, true};
      if (layers_.is_due()) sweep_layers(env);
      handles.push_back(layers_.add(env, held, 0));
    }
    return from_values(env, {Napi::String::New(env, value.description), from_values(env, handles)});
  });
}

Napi::Value Addon::adopt_layers(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const auto read = [this](Napi::Value handle) -> HeldLayer { return held(handle); };
    const std::vector<HeldLayer> targets = read_each(info[0], read);
    const std::vector<HeldLayer> sources = read_each(info[1], read);
    std::vector<std::shared_ptr<const Op>> ops;
    for (const HeldLayer& source : sources) ops.push_back(source.layer->op());
    for (const HeldLayer& target : targets) {
      static_cast<void>(target.layer->op());
      if (!target.read_only) throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected opened layers");
    }
    if (targets.size() != ops.size())
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected a source for each target");
    for (std::size_t i = 0; i < ops.size(); ++i) targets[i].layer->replace(std::move(ops[i]));
    return env.Undefined();
  });
}

Napi::Value Addon::share_tensor(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    TensorArg argument = read_tensor(info[0]);
    const bool once = info[1].ToBoolean();
    const bool is_only_view = info[2].ToBoolean();
    const int64_t handle = argument.view.IsEmpty() ? argument.handle : -1;
    // Before the tensor below holds it too.
    const bool is_alone = once && is_only_view && storages_.is_alone(handle);
    const Tensor tensor = bind_tensor(storages_, std::move(argument));
    SharedValue value;
    value.once = once;
    if (const auto frozen = storages_.freeze(handle, is_alone)) {
      value.tensor = narrowed(tensor);
      value.frozen = *frozen;
    } else {
      value.tensor = completed_copy(tensor, tensor.dtype, tensor.device());
      value.frozen = !once;
    }
    const std::string id = SharedValues::process().add(std::move(value));
    // A moved tensor does not end with this thread, which may end before another opens it.
    if (!once) shared_.insert(id);
    return Napi::String::New(env, id);
  });
}

Napi::Value Addon::open_tensor(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const SharedValue value = SharedValues::process().open(to_id(info[0]), SharedValues::Kind::tensor);
    return tensors_.make(env, *value.tensor, value.frozen);
  });
}

Napi::Value Addon::unshare(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const std::string id = to_id(info[0]);
    shared_.erase(id);
    return Napi::Boolean::New(env, SharedValues::process().remove(id));
  });
}

void Addon::end_sharing() {
  for (const std::string& id : shared_) SharedValues::process().remove(id);
  shared_.clear();
}

}  // namespace tokenlearner
