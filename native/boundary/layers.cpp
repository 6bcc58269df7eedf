// Addon methods on layers.

#include "boundary/addon.hpp"
#include "boundary/marshal.hpp"
#include "engine/op-factory.hpp"
#include "engine/ops/sequence.hpp"

namespace tokenlearner {

namespace {
constexpr napi_type_tag kLayerTag = {0x746f6b656e6c6561, 0x6c61796572000001};
}

struct Addon::Layer {
  explicit Layer(std::shared_ptr<int64_t> counter) : live(std::move(counter)) { ++*live; }
  ~Layer() {
    if (!disposed) --*live;
  }
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  /// What a forward that is submitted now will run, whatever is done to the layer later.
  std::shared_ptr<const Op> snapshot() const {
    if (disposed) throw Error(ErrorCode::ERR_DISPOSED, "The module was disposed");
    if (op != nullptr) return op;
    std::vector<std::shared_ptr<const Op>> ops;
    ops.reserve(children.size());
    for (const auto& child : children) ops.push_back(child->snapshot());
    return std::make_shared<SequenceOp>(std::move(ops));
  }

  void dispose() {
    if (disposed) return;
    disposed = true;
    --*live;
    op.reset();
    children.clear();
  }

  std::shared_ptr<int64_t> live;
  std::shared_ptr<const Op> op;                  // A single operator, or
  std::vector<std::shared_ptr<Layer>> children;  // a sequence.
  bool disposed = false;
};

Napi::Value Addon::wrap(Napi::Env env, std::unique_ptr<Layer> layer) {
  auto* const held = new std::shared_ptr<Layer>(std::move(layer));
  auto handle = Napi::External<std::shared_ptr<Layer>>::New(
      env, held, [](Napi::Env, std::shared_ptr<Layer>* dead) { delete dead; });
  handle.TypeTag(&kLayerTag);
  return handle;
}

std::shared_ptr<Addon::Layer>& Addon::unwrap_layer(Napi::Value handle) {
  using Handle = Napi::External<std::shared_ptr<Layer>>;
  if (!handle.IsExternal() || !handle.As<Handle>().CheckTypeTag(&kLayerTag)) {
    throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a layer");
  }
  return *handle.As<Handle>().Data();
}

Executor& Addon::executor_of(Device device) {
  std::unique_ptr<Executor>& executor = executors_[device.code];
  if (executor == nullptr) executor = std::make_unique<Executor>(device);
  return *executor;
}

Napi::Value Addon::create_layer(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const Placement placement{to_dtype(info[3]), to_device(info[4])};
    auto layer = std::make_unique<Layer>(live_layers_);
    layer->op = make_op(info[0].ToString(), to_config(info[1]), placement, to_tensors(storages_, info[2]));
    return wrap(env, std::move(layer));
  });
}

Napi::Value Addon::create_sequence(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const auto handles = info[0].As<Napi::Array>();
    auto layer = std::make_unique<Layer>(live_layers_);
    for (uint32_t i = 0; i < handles.Length(); ++i) layer->children.push_back(unwrap_layer(handles.Get(i)));
    if (layer->children.empty())
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A sequence needs at least one layer");
    return wrap(env, std::move(layer));
  });
}

Napi::Value Addon::set_parameters(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    Layer& layer = *unwrap_layer(info[0]);
    const auto op = layer.snapshot();
    const std::vector<Tensor> parameters = to_tensors(storages_, info[1]);
    if (parameters.size() != op->parameters().size()) {
      throw Error(ErrorCode::ERR_STATE_DICT,
                  "Expected " + std::to_string(op->parameters().size()) + " parameters");
    }
    layer.op = op->with(op->placement(), place(parameters, op->placement()));
    return env.Undefined();
  });
}

Napi::Value Addon::parameters(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const auto op = unwrap_layer(info[0])->snapshot();
    return from_tensors(env, storages_, place(op->parameters(), {op->placement().dtype, Device::cpu()}));
  });
}

Napi::Value Addon::move_layer(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    Layer& layer = *unwrap_layer(info[0]);
    const Placement placement{to_dtype(info[1]), to_device(info[2])};
    const auto op = layer.snapshot();
    layer.op = op->with(placement, place(op->parameters(), placement));
    return env.Undefined();
  });
}

Napi::Value Addon::dispose_layer(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    unwrap_layer(info[0])->dispose();
    return env.Undefined();
  });
}

Napi::Value Addon::forward(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    if (closed_) throw Error(ErrorCode::ERR_CLOSED, "This Node environment is shutting down");
    auto op = unwrap_layer(info[0])->snapshot();
    const RunOptions options = to_run_options(info[2]);
    // It may be borrowed: no JavaScript may run from here on.
    const Tensor given = to_tensor(storages_, info[1]);
    const Device device = device_for(*op, given.device());
    // See Note [Brief runs]. What runs here reads JavaScript's memory before anything can change it.
    const bool brief = op->is_brief(given);
    Tensor input = brief ? given : owned(given, device.is_cuda());
    auto job = std::make_unique<ForwardJob>(env, settler_, std::move(op), std::move(input), options);
    const Napi::Promise promise = job->promise();
    if (brief) {
      run_and_settle(std::move(job));
    } else {
      executor_of(device).submit(std::move(job));
    }
    settler_.expect();
    return promise;
  });
}

Napi::Value Addon::forward_sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const auto op = unwrap_layer(info[0])->snapshot();
    const RunOptions options = to_run_options(info[2]);
    // It may be borrowed: no JavaScript may run from here on.
    const Tensor input = to_tensor(storages_, info[1]);
    return from_tensors(env, storages_, run_from_anywhere(*op, input, options));
  });
}

}  // namespace tokenlearner
