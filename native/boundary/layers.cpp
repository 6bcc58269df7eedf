// Addon methods on layers.

#include <limits>

#include "boundary/addon.hpp"
#include "boundary/marshal.hpp"
#include "engine/layers/layers.hpp"
#include "engine/run/copy-op.hpp"

namespace tokenlearner {

namespace {

using Layers = std::vector<std::shared_ptr<Layer>>;

/// The bytes of a layer's own parameters.
int64_t parameter_bytes(const Op& op) {
  int64_t bytes = 0;
  for (const Tensor& parameter : op.parameters()) bytes += static_cast<int64_t>(parameter.storage.bytes());
  return bytes;
}

std::vector<uint32_t> to_slots(Napi::Value value) {
  return read_each(value, [](Napi::Value slot) { return to_index(slot, "slot"); });
}

/// Replaces the operators of several layers: of all, or of none if one of them cannot be made.
template <typename F>
void replace(const Layers& layers, F&& make) {
  std::vector<std::shared_ptr<const Op>> prepared;
  prepared.reserve(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) prepared.push_back(make(layers[i]->op(), i));
  for (std::size_t i = 0; i < layers.size(); ++i) layers[i]->replace(std::move(prepared[i]));
}

void check_inputs(const std::vector<TensorArg>& inputs) {
  if (inputs.empty()) throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected at least one input");
}

/// Infinity, and anything that is not a size, means no limit.
std::size_t to_limit(Napi::Value value) {
  const double limit = value.ToNumber();
  return limit >= 0 && limit <= 9007199254740991.0 ? static_cast<std::size_t>(limit)
                                                   : std::numeric_limits<std::size_t>::max();
}

}  // namespace

Napi::Value Addon::wrap(Napi::Env env, std::shared_ptr<Layer> layer) {
  if (layers_.is_due()) sweep_layers(env);
  // The garbage collector sees only small handles, so report the current size of the parameters.
  const int64_t bytes = parameter_bytes(*layer->snapshot());
  const Napi::Object handle = layers_.add(env, {std::move(layer), bytes, false}, bytes);
  if (bytes != 0) Napi::MemoryManagement::AdjustExternalMemory(env, bytes);
  return handle;
}

Addon::HeldLayer& Addon::held(Napi::Value handle) {
  HeldLayer* const found = layers_.find(read_handle(handle));
  if (found == nullptr) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a layer");
  return *found;
}

Layer& Addon::unwrap(Napi::Value handle) { return *held(handle).layer; }

std::vector<std::shared_ptr<Layer>> Addon::unwrap_each(Napi::Value handles) {
  return read_each(handles, [this](Napi::Value handle) { return held(handle).layer; });
}

std::vector<std::shared_ptr<Layer>> Addon::unwrap_writable(Napi::Value handles) {
  return read_each(handles, [this](Napi::Value handle) {
    const HeldLayer& found = held(handle);
    if (!found.read_only) return found.layer;
    throw Error(
        ErrorCode::ERR_SHARED_READ_ONLY,
        "The module was opened from a shared one, so its parameters, dtype and device cannot change: load "
        "its stateDict() into a module of your own");
  });
}

void Addon::sweep_layers(Napi::Env env) {
  int64_t bytes = 0;
  layers_.sweep(env, [&](HeldLayer& held) {
    bytes += held.reported;
    held.layer.reset();
  });
  if (bytes != 0) Napi::MemoryManagement::AdjustExternalMemory(env, -bytes);
}

Executor& Addon::executor_of(Device device, int lanes) {
  const std::pair place(device, lanes);
  const auto known = executors_.find(place);
  if (known != executors_.end()) return *known->second;
  // Made first: the system may allow no further thread.
  auto executor = std::make_unique<Executor>(device, lanes);
  executor->set_queue_limits(queue_limits_);
  return *executors_.emplace(place, std::move(executor)).first->second;
}

Napi::Value Addon::create_layer(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const std::string kind = info[0].ToString();
    const Config config = to_config(info[1]);
    std::vector<TensorArg> parameters = read_each(info[2], read_tensor);
    const Placement placement = to_placement(info[3], info[4]);
    return wrap(env, std::make_shared<Layer>(
                         make_layer(kind, config, placement, bind_tensors(storages_, std::move(parameters))),
                         live_layers_));
  });
}

Napi::Value Addon::create_container(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    Wiring wiring;
    wiring.inputs = to_index(info[1], "inputs");
    wiring.nodes = read_each(info[2], to_slots);
    wiring.outputs = to_slots(info[3]);
    return wrap(env, std::make_shared<Layer>(unwrap_each(info[0]), std::move(wiring), live_layers_));
  });
}

Napi::Value Addon::set_parameters(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const Layers layers = unwrap_writable(info[0]);
    auto arguments = read_each(info[1], [](Napi::Value each) { return read_each(each, read_tensor); });
    if (arguments.size() != layers.size())
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected parameters for each layer");
    // Bind all tensors before the first operator is made: if one is disposed, nothing changes.
    std::vector<std::vector<Tensor>> parameters;
    for (auto& each : arguments) parameters.push_back(bind_tensors(storages_, std::move(each)));
    replace(layers, [&](const std::shared_ptr<const Op>& op, std::size_t i) {
      return op->with_values(parameters[i]);
    });
    return env.Undefined();
  });
}

Napi::Value Addon::parameters(const Napi::CallbackInfo& info) {
  return guarded(
      info, [&](Napi::Env env) { return tensors_.make_all(env, unwrap(info[0]).op()->host_parameters()); });
}

Napi::Value Addon::parameters_async(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    std::vector<std::shared_ptr<const Op>> sources;
    for (const auto& layer : unwrap_each(info[0])) sources.push_back(layer->op());
    if (sources.empty()) throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected at least one layer");
    return submit(env, std::make_shared<const ParametersOp>(std::move(sources)), {}, {}, {});
  });
}

Napi::Value Addon::placement(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const Placement& placement = unwrap(info[0]).snapshot()->placement();
    return Napi::Number::New(env, static_cast<int32_t>(placement.dtype) | (code_of(placement.device) + 1)
                                                                              << 8);
  });
}

Napi::Value Addon::move_layers(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const Layers layers = unwrap_writable(info[0]);
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
    HeldLayer& disposed = held(info[0]);
    disposed.layer->dispose();
    if (disposed.reported != 0)
      Napi::MemoryManagement::AdjustExternalMemory(env, -std::exchange(disposed.reported, 0));
    return env.Undefined();
  });
}

CallOptions Addon::options_for(const Op& op, const std::vector<TensorArg>& inputs, Napi::Value how) {
  check_inputs(inputs);
  CallOptions options;
  options.values = to_config(how);
  if (storages_.lends()) return options;
  std::vector<Dims> shapes;
  for (const TensorArg& input : inputs) shapes.push_back(input.shape);
  for (const std::size_t bytes : op.result_bytes(shapes, options))
    options.results.push_back(storages_.allocate(how.Env(), bytes, false));
  return options;
}

Napi::Value Addon::submit(Napi::Env env, std::shared_ptr<const Op> op, std::vector<TensorArg> arguments,
                          CallOptions options, Limits limits) {
  if (closed_) throw Error(ErrorCode::ERR_CLOSED, "This Node environment is shutting down");
  std::vector<Tensor> inputs = bind_tensors(storages_, std::move(arguments));
  const Device device = inputs.empty() ? op->placement().device : device_for(*op, inputs.front().device());
  // See Note [Inline runs]. An inline run reads JavaScript's memory before anything can change it.
  options.runs_inline = op->runs_inline(inputs);
  Executor* const executor = options.runs_inline ? nullptr : &executor_of(device, op->lanes());
  if (executor != nullptr) {
    executor->check_room(byte_length(inputs));
    for (Tensor& input : inputs) input = owned(input, device.is_cuda());
  }
  PromiseQueue::Pending pending = promises_.add(env);
  auto request = std::make_unique<Request>(std::move(op), device, std::move(inputs), std::move(options),
                                           std::move(pending.completion));
  request->set_id(limits.id);
  if (limits.timeout >= 0)
    request->set_deadline(Request::Clock::now() +
                          std::chrono::microseconds(static_cast<int64_t>(limits.timeout * 1e3)));
  if (executor == nullptr) {
    request->run();
  } else {
    executor->submit(std::move(request));
  }
  return pending.promise;
}

Napi::Value Addon::run_now(Napi::Env env, const Op& op, std::vector<TensorArg> arguments,
                           CallOptions options) {
  const std::vector<Tensor> inputs = bind_tensors(storages_, std::move(arguments));
  options.runs_inline = op.runs_inline(inputs);
  const Device device = device_for(op, inputs.front().device());
  return tensors_.make_all(env, run_on(op, device, inputs, options));
}

Napi::Value Addon::forward(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    std::shared_ptr<const Op> op = unwrap(info[0]).snapshot();
    std::vector<TensorArg> arguments = read_tensors(info, 4);
    CallOptions options = options_for(*op, arguments, info[1]);
    Limits limits;
    limits.id = to_index(info[2], "id");
    if (info[3].IsNumber()) limits.timeout = info[3].As<Napi::Number>().DoubleValue();
    return submit(env, std::move(op), std::move(arguments), std::move(options), limits);
  });
}

Napi::Value Addon::forward_sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const std::shared_ptr<const Op> op = unwrap(info[0]).snapshot();
    std::vector<TensorArg> arguments = read_tensors(info, 2);
    CallOptions options = options_for(*op, arguments, info[1]);
    return run_now(env, *op, std::move(arguments), std::move(options));
  });
}

Napi::Value Addon::next_request_id(const Napi::CallbackInfo& info) {
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  last_request_id_ = last_request_id_ == kMost ? 1 : last_request_id_ + 1;
  return Napi::Number::New(info.Env(), last_request_id_);
}

Napi::Value Addon::cancel(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const uint64_t id = to_index(info[0], "id");
    bool found = false;
    for (const auto& [key, executor] : executors_) found = found || executor->cancel(id);
    return Napi::Boolean::New(env, found);
  });
}

Napi::Value Addon::set_queue_limits(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    queue_limits_ = {to_limit(info[0]), to_limit(info[1])};
    for (const auto& [key, executor] : executors_) executor->set_queue_limits(queue_limits_);
    return env.Undefined();
  });
}

}  // namespace tokenlearner
