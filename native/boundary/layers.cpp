// Addon methods on layers.

#include "boundary/addon.hpp"
#include "boundary/marshal.hpp"
#include "engine/op-factory.hpp"
#include "engine/ops/sequence.hpp"

namespace tokenlearner {

namespace {
constexpr napi_type_tag kLayerTag = {0x746f6b656e6c6561, 0x6c61796572000001};

/// `read` of each element of an array.
template <typename F>
auto read_each(Napi::Value value, F&& read) {
  if (!value.IsArray()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected an array");
  const auto array = value.As<Napi::Array>();
  const uint32_t length = array.Length();
  std::vector<decltype(read(value))> items;
  for (uint32_t i = 0; i < length; ++i) items.push_back(read(array.Get(i)));
  return items;
}

}  // namespace

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

  /// The operator of a layer that is no sequence.
  const std::shared_ptr<const Op>& leaf() const {
    if (disposed) throw Error(ErrorCode::ERR_DISPOSED, "The module was disposed");
    if (op == nullptr)
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A sequence has no parameters of its own");
    return op;
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

std::vector<std::shared_ptr<Addon::Layer>> Addon::unwrap_layers(Napi::Value handles) {
  if (!handles.IsArray()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected an array of layers");
  const auto array = handles.As<Napi::Array>();
  const uint32_t length = array.Length();
  std::vector<std::shared_ptr<Layer>> layers;
  for (uint32_t i = 0; i < length; ++i) layers.push_back(unwrap_layer(array.Get(i)));
  return layers;
}

Executor& Addon::executor_of(Device device) {
  std::unique_ptr<Executor>& executor = executors_[device.code];
  if (executor == nullptr) executor = std::make_unique<Executor>(device);
  return *executor;
}

Napi::Value Addon::create_layer(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const std::string kind = info[0].ToString();
    const OpConfig config = to_config(info[1]);
    std::vector<TensorArg> parameters = read_tensors(info[2]);
    const Placement placement = to_placement(info[3], info[4]);
    auto layer = std::make_unique<Layer>(live_layers_);
    layer->op = make_op(kind, config, placement, bind_tensors(storages_, std::move(parameters)));
    return wrap(env, std::move(layer));
  });
}

Napi::Value Addon::create_sequence(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    auto layer = std::make_unique<Layer>(live_layers_);
    layer->children = unwrap_layers(info[0]);
    if (layer->children.empty())
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "A sequence needs at least one layer");
    return wrap(env, std::move(layer));
  });
}

template <typename F>
void Addon::replace(const std::vector<std::shared_ptr<Layer>>& layers, F&& make) {
  std::vector<std::shared_ptr<const Op>> prepared;
  prepared.reserve(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) prepared.push_back(make(layers[i]->leaf(), i));
  for (std::size_t i = 0; i < layers.size(); ++i) layers[i]->op = std::move(prepared[i]);
}

Napi::Value Addon::set_parameters(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const auto layers = unwrap_layers(info[0]);
    std::vector<std::vector<TensorArg>> arguments = read_each(info[1], read_tensors);
    if (arguments.size() != layers.size())
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected parameters for each layer");
    // All tensors are bound before the first operator is made: a disposed one changes nothing.
    std::vector<std::vector<Tensor>> parameters;
    for (auto& each : arguments) parameters.push_back(bind_tensors(storages_, std::move(each)));
    replace(layers, [&](const std::shared_ptr<const Op>& op, std::size_t i) {
      if (parameters[i].size() != op->parameters().size()) {
        throw Error(ErrorCode::ERR_STATE_DICT,
                    "Expected " + std::to_string(op->parameters().size()) + " parameters");
      }
      return op->with(op->placement(), place(parameters[i], op->placement()));
    });
    return env.Undefined();
  });
}

Napi::Value Addon::parameters(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const auto op = unwrap_layer(info[0])->snapshot();
    return from_tensors(env, storages_, place(op->parameters(), {op->placement().dtype, Device::cpu()}));
  });
}

Napi::Value Addon::move_layers(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const auto layers = unwrap_layers(info[0]);
    const auto dtypes = read_each(info[1], [](Napi::Value value) { return value; });
    const auto devices = read_each(info[2], [](Napi::Value value) { return value; });
    if (dtypes.size() != layers.size() || devices.size() != layers.size())
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected a placement for each layer");
    replace(layers, [&](const std::shared_ptr<const Op>& op, std::size_t i) {
      const Placement placement = to_placement(dtypes[i], devices[i]);
      return op->with(placement, place(op->parameters(), placement));
    });
    return env.Undefined();
  });
}

Napi::Value Addon::dispose_layer(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    unwrap_layer(info[0])->dispose();
    return env.Undefined();
  });
}

RunOptions Addon::options_for(const Op& op, const TensorArg& input, Napi::Value how) {
  RunOptions options = to_run_options(how);
  if (storages_.lends()) return options;
  for (const std::size_t bytes : op.result_bytes(input.shape, options))
    options.results.push_back(storages_.allocate(how.Env(), bytes, false));
  return options;
}

Napi::Value Addon::forward(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    if (closed_) throw Error(ErrorCode::ERR_CLOSED, "This Node environment is shutting down");
    auto op = unwrap_layer(info[0])->snapshot();
    TensorArg argument = read_tensor(info[1]);
    RunOptions options = options_for(*op, argument, info[2]);
    const Tensor given = bind_tensor(storages_, std::move(argument));
    const Device device = device_for(*op, given.device());
    // See Note [Brief runs]. What runs here reads JavaScript's memory before anything can change it.
    const bool brief = op->is_brief(given);
    Tensor input = brief ? given : owned(given, device.is_cuda());
    auto job =
        std::make_unique<ForwardJob>(env, settler_, std::move(op), std::move(input), std::move(options));
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
    TensorArg argument = read_tensor(info[1]);
    const RunOptions options = options_for(*op, argument, info[2]);
    const Tensor input = bind_tensor(storages_, std::move(argument));
    return from_tensors(env, storages_, run_from_anywhere(*op, input, options));
  });
}

}  // namespace tokenlearner
