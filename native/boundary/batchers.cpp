// Addon methods on batchers.

#include "boundary/addon.hpp"
#include "boundary/marshal.hpp"

namespace tokenlearner {

namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

Clock::duration to_duration(double milliseconds) {
  return std::chrono::duration_cast<Clock::duration>(Milliseconds(milliseconds));
}

/// A limit by name. Without it there is none.
template <typename Limit>
Limit to_limit(const Config& config, const char* name, Limit otherwise = std::numeric_limits<Limit>::max()) {
  return config.has(name) ? static_cast<Limit>(config.integer(name)) : otherwise;
}

BatchLimits to_limits(const Config& config) {
  BatchLimits limits;
  limits.images = to_limit<int64_t>(config, "images");
  limits.pixels = to_limit<int64_t>(config, "pixels");
  limits.requests = to_limit<std::size_t>(config, "requests");
  limits.bytes = to_limit<std::size_t>(config, "bytes");
  limits.levels = to_limit<int>(config, "levels", 1);
  limits.delay = to_duration(config.number("delay"));
  return limits;
}

/// Sets properties that can be read as plain numbers.
class Numbers {
 public:
  explicit Numbers(Napi::Env env) : object_(Napi::Object::New(env)) {}
  template <typename T>
    requires std::is_arithmetic_v<T>
  Numbers& set(const char* name, T value) {
    object_.Set(name, static_cast<double>(value));
    return *this;
  }
  Numbers& set(const char* name, std::chrono::nanoseconds time) {
    return set(name, Milliseconds(time).count());
  }
  Numbers& set(const char* name, Napi::Value value) {
    object_.Set(name, value);
    return *this;
  }
  Napi::Object object() const { return object_; }

 private:
  Napi::Object object_;
};

Napi::Value from_histogram(Napi::Env env, const Histogram& histogram) {
  const auto numbers = [env](auto values) {
    std::vector<napi_value> items;
    for (const auto value : values) items.push_back(Napi::Number::New(env, static_cast<double>(value)));
    return from_values(env, items);
  };
  return Numbers(env)
      .set("bounds", numbers(histogram.bounds()))
      .set("counts", numbers(histogram.counts()))
      .set("sum", histogram.sum())
      .set("count", histogram.count())
      .object();
}

Napi::Value from_devices(Napi::Env env, const std::vector<BatcherDeviceState>& devices) {
  std::vector<napi_value> items;
  for (const BatcherDeviceState& state : devices) {
    items.push_back(Numbers(env)
                        .set("device", code_of(state.device))
                        .set("running", state.running)
                        .set("batches", state.batches)
                        .set("images", state.images)
                        .set("lost", Napi::Boolean::New(env, state.lost))
                        .object());
  }
  return from_values(env, items);
}

}  // namespace

Batcher& Addon::batcher(Napi::Value handle) {
  std::shared_ptr<Batcher>* const found = batchers_.find(read_handle(handle));
  if (found == nullptr) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a batcher");
  return **found;
}

void Addon::sweep_batchers(Napi::Env env) {
  // lib/ keeps a batcher's handle while requests wait or run. So no thread is waited for here.
  batchers_.sweep(env, [](std::shared_ptr<Batcher>& batcher) { batcher.reset(); });
}

void Addon::close_batchers() {
  batchers_.for_each([](const std::shared_ptr<Batcher>& batcher) { batcher->close(false); });
}

Napi::Value Addon::create_batcher(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) -> Napi::Value {
    const BatchLimits limits = to_limits(to_config(info[0]));
    const std::vector<Device> devices = read_each(info[1], to_device);
    const std::shared_ptr<const Op> op = unwrap(info[2]).snapshot();
    for (const Device device : devices) {
      if (op->can_move_to(device)) continue;
      throw Error(ErrorCode::ERR_INVALID_ARG_VALUE,
                  "Expected only the model's own device for `options.devices` but received " +
                      device.to_string() +
                      ": a compiled program runs on the device that it was compiled for");
    }
    auto batcher = std::make_shared<Batcher>(limits, promises_);
    for (const Device device : devices) batcher->add_replica(device, executor_of(device));
    return batchers_.add(env, std::move(batcher), 0);
  });
}

Napi::Value Addon::batch_forward(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) -> Napi::Value {
    const Clock::time_point started = Clock::now();
    // Held, since reading the other arguments can run JavaScript.
    const std::shared_ptr<Batcher> batcher = this->batcher(info[0]).shared_from_this();
    std::shared_ptr<const Op> op = unwrap(info[1]).snapshot();
    std::vector<TensorArg> arguments = read_tensors(info, 7);
    if (arguments.size() > 1) throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected one input");
    CallOptions options = options_for(*op, arguments, info[2]);
    const uint64_t id = static_cast<uint64_t>(info[3].ToNumber().Int64Value());
    const int priority = info[4].ToNumber().Int32Value();
    const double timeout = info[5].IsNumber() ? info[5].As<Napi::Number>().DoubleValue() : -1;
    const bool may_run_inline = info[6].ToBoolean();
    if (closed_) throw Error(ErrorCode::ERR_CLOSED, "This Node environment is shutting down");

    std::vector<Tensor> inputs = bind_tensors(storages_, std::move(arguments));
    const Device device = device_for(*op, inputs.front().device());
    // See Note [Inline runs] in engine/run/executor.hpp.
    options.runs_inline = may_run_inline && op->runs_inline(inputs) && batcher->is_free();
    const bool is_copied = !options.runs_inline && inputs.front().storage.owner() == nullptr;
    // Before a copy, which may be large; submit() checks too.
    if (options.runs_inline || is_copied) batcher->check_room(byte_length(inputs));
    if (is_copied) inputs.front() = owned(inputs.front(), device.is_cuda());
    Executor& executor = executor_of(device, op->lanes());
    PromiseQueue::Pending pending = promises_.add(env);
    auto request = std::make_shared<BatchRequest>(std::move(op), device, std::move(inputs),
                                                  std::move(options), std::move(pending.completion));
    request->id = id;
    request->priority = priority;
    request->arrival = Clock::now();
    request->input_time = request->arrival - started;
    if (timeout >= 0) request->deadline = started + to_duration(timeout);
    if (request->options.runs_inline) {
      batcher->run_inline(*request, executor);
      return pending.promise;
    }
    try {
      batcher->submit(request, executor);
    } catch (...) {
      // A promise that was added must be settled.
      request->completion->fail(Failure::of_current_exception());
    }
    return pending.promise;
  });
}

Napi::Value Addon::cancel_batched(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const bool found = batcher(info[0]).cancel(static_cast<uint64_t>(info[1].ToNumber().Int64Value()));
    return Napi::Boolean::New(env, found);
  });
}

Napi::Value Addon::close_batcher(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    batcher(info[0]).close(info[1].ToBoolean());
    return env.Undefined();
  });
}

Napi::Value Addon::hold_batcher(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    batcher(info[0]).hold(to_index(info[1], "requests"));
    return env.Undefined();
  });
}

Napi::Value Addon::batcher_state(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) -> Napi::Value {
    const BatcherState state = batcher(info[0]).state();
    const BatcherStatistics& s = state.statistics;
    return Numbers(env)
        .set("queued", state.queued)
        .set("queuedBytes", state.queued_bytes)
        .set("running", state.running)
        .set("requests", s.requests)
        .set("succeeded", s.succeeded)
        .set("failed", s.failed)
        .set("cancelled", s.cancelled)
        .set("timedOut", s.timed_out)
        .set("rejected", s.rejected)
        .set("images", s.images)
        .set("batches", s.batches)
        .set("requestMs", s.request_time)
        .set("inputMs", s.input_time)
        .set("queueMs", s.queue_time)
        .set("computeMs", s.compute_time)
        .set("outputMs", s.output_time)
        .set("batchImages", from_histogram(env, s.batch_images))
        .set("batchRequests", from_histogram(env, s.batch_requests))
        .set("queueTimes", from_histogram(env, s.queue_ms))
        .set("computeTimes", from_histogram(env, s.compute_ms))
        .set("devices", from_devices(env, state.devices))
        .object();
  });
}

}  // namespace tokenlearner
