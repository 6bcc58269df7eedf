#include "boundary/addon.hpp"

#include <array>
#include <random>
#include <string>

#include "boundary/marshal.hpp"
#include "engine/cuda/probe.hpp"
#include "engine/cuda/refusals.hpp"
#include "engine/token-learner/engine.hpp"
#include "engine/torch/library.hpp"
#include "kernels/cpu/compute-pool.hpp"
#include "kernels/cpu/isa.hpp"
#include "kernels/cpu/topology.hpp"
#include "platform/platform.hpp"

namespace tokenlearner {

Addon::Addon(Napi::Env env, Napi::Object exports)
    : storages_(env),
      tensors_(storages_),
      generator_(std::random_device{}()),
      promises_(env, storages_, tensors_, errors_) {
  platform::keep_loaded();
  auto build = Napi::Object::New(env);
  build.Set("version", TOKENLEARNER_VERSION);
  build.Set("cuda", static_cast<bool>(TOKENLEARNER_CUDA_BUILT));
  build.Set("cudaArchitectures", TOKENLEARNER_CUDA_ARCHITECTURES);
  build.Set("torchTarget", TOKENLEARNER_OLDEST_TORCH);

  DefineAddon(exports, {
                           InstanceValue("build", build, napi_enumerable),
                           InstanceMethod("configure", &Addon::configure),
                           InstanceMethod("allocate", &Addon::allocate),
                           InstanceMethod("share", &Addon::share),
                           InstanceMethod("disposeStorage", &Addon::dispose_storage),
                           InstanceMethod("detach", &Addon::detach),
                           InstanceMethod("counters", &Addon::counters),
                           InstanceMethod("manualSeed", &Addon::manual_seed),
                           InstanceMethod("uniform", &Addon::uniform),
                           InstanceMethod("normal", &Addon::normal),
                           InstanceMethod("randomAsync", &Addon::random_async),
                           InstanceMethod("loadLibtorch", &Addon::load_libtorch),
                           InstanceMethod("libtorch", &Addon::libtorch),
                           InstanceMethod("mappedLibtorch", &Addon::mapped_libtorch),
                           InstanceMethod("cpu", &Addon::cpu),
                           InstanceMethod("setThreads", &Addon::set_threads),
                           InstanceMethod("cudaDriver", &Addon::cuda_driver),
                           InstanceMethod("cuda", &Addon::cuda),
                           InstanceMethod("fused", &Addon::fused),
                           InstanceMethod("copy", &Addon::copy),
                           InstanceMethod("copyAsync", &Addon::copy_async),
                           InstanceMethod("read", &Addon::read),
                           InstanceMethod("write", &Addon::write),
                           InstanceMethod("fill", &Addon::fill),
                           InstanceMethod("createLayer", &Addon::create_layer),
                           InstanceMethod("createContainer", &Addon::create_container),
                           InstanceMethod("setParameters", &Addon::set_parameters),
                           InstanceMethod("parameters", &Addon::parameters),
                           InstanceMethod("parametersAsync", &Addon::parameters_async),
                           InstanceMethod("placement", &Addon::placement),
                           InstanceMethod("moveLayers", &Addon::move_layers),
                           InstanceMethod("disposeLayer", &Addon::dispose_layer),
                           InstanceMethod("forward", &Addon::forward),
                           InstanceMethod("forwardSync", &Addon::forward_sync),
                           InstanceMethod("nextRequestId", &Addon::next_request_id),
                           InstanceMethod("cancel", &Addon::cancel),
                           InstanceMethod("setQueueLimits", &Addon::set_queue_limits),
                           InstanceMethod("createBatcher", &Addon::create_batcher),
                           InstanceMethod("batchForward", &Addon::batch_forward),
                           InstanceMethod("cancelBatched", &Addon::cancel_batched),
                           InstanceMethod("closeBatcher", &Addon::close_batcher),
                           InstanceMethod("batcherState", &Addon::batcher_state),
                           InstanceMethod("holdBatcher", &Addon::hold_batcher),
                           InstanceMethod("shareLayers", &Addon::share_layers),
                           InstanceMethod("openLayers", &Addon::open_layers),
                           InstanceMethod("adoptLayers", &Addon::adopt_layers),
                           InstanceMethod("shareTensor", &Addon::share_tensor),
                           InstanceMethod("openTensor", &Addon::open_tensor),
                           InstanceMethod("unshare", &Addon::unshare),
                           InstanceMethod("missingTorchSymbols", &Addon::missing_torch_symbols),
                           InstanceMethod("memoryFile", &Addon::memory_file),
                           InstanceMethod("openProgram", &Addon::open_program),
                           InstanceMethod("describeProgram", &Addon::describe_program),
                           InstanceMethod("noneOutputs", &Addon::none_outputs),
                           InstanceMethod("imagesToTensor", &Addon::images_to_tensor),
                           InstanceMethod("imagesToTensorSync", &Addon::images_to_tensor_sync),
                           InstanceMethod("tensorToImage", &Addon::tensor_to_image),
                       });

  watch_collector(env);
  // Last: if the constructor throws, nothing may keep `this`.
  close_on_exit(env);
  // After the promises: hooks run in reverse order, so the executors end while results can still be posted.
  env.AddCleanupHook([this] { shut_down(); });
}

void Addon::close_on_exit(Napi::Env env) {
  // On the main thread process.exit() runs no clean-up hooks. See Note [Leaving while a forward runs].
  const Napi::Value process = env.Global().Get("process");
  const Napi::Value on = process.IsObject() ? process.As<Napi::Object>().Get("on") : env.Undefined();
  if (!on.IsFunction()) return;
  const auto on_exit = Napi::Function::New(env, [this](const Napi::CallbackInfo&) {
    close_batchers();
    executors_.clear();
  });
  on.As<Napi::Function>().Call(process, {Napi::String::New(env, "exit"), on_exit});
}

void Addon::watch_collector(Napi::Env env) {
  // Nothing holds this External. The next garbage collection frees it, and its finalizer makes a new one.
  auto self = std::make_unique<std::shared_ptr<Addon*>>(self_);
  Napi::External<std::shared_ptr<Addon*>>::New(env, self.get(),
                                               [](Napi::Env e, std::shared_ptr<Addon*>* held) {
                                                 const std::unique_ptr<std::shared_ptr<Addon*>> owned(held);
                                                 Addon* const addon = **owned;
                                                 if (addon == nullptr) return;
                                                 addon->storages_.after_collection(e);
                                                 if (addon->layers_.is_cheap()) addon->sweep_layers(e);
                                                 addon->sweep_batchers(e);
                                                 addon->watch_collector(e);
                                               });
  static_cast<void>(self.release());
}

void Addon::shut_down() {
  closed_ = true;
  *self_ = nullptr;
  close_batchers();
  end_sharing();
  executors_.clear();  // Waits for running requests. Waiting requests fail.
  batchers_.clear();   // Ends their threads, which post results.
  promises_.close();
  storages_.close();
}

Napi::Value Addon::configure(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    constexpr std::array names = {"createError", "createTensor", "createList"};
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (info[i].IsFunction()) continue;
      throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, std::string("Expected a function for `") + names[i] + "`");
    }
    errors_.set(info[0].As<Napi::Function>());
    tensors_.set(info[1].As<Napi::Function>(), info[2].As<Napi::Function>());
    storages_.allow_lending(info[3].ToBoolean());
    return env.Undefined();
  });
}

Napi::Value Addon::load_libtorch(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    if (!info[0].IsString()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a string for `libDir`");
    load_torch(info[0].As<Napi::String>());
    open_cuda();
    return env.Undefined();
  });
}

Napi::Value Addon::libtorch(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) -> Napi::Value {
    const auto torch = torch_info();
    if (!torch) return env.Null();
    auto object = Napi::Object::New(env);
    object.Set("libDir", torch->lib_dir);
    object.Set("version", torch->version);
    object.Set("cudaBuild", torch->cuda_build);
    object.Set("threads", torch_num_threads());
    return object;
  });
}

Napi::Value Addon::mapped_libtorch(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) -> Napi::Value {
    const std::string dir = mapped_torch_dir();
    return dir.empty() ? env.Null() : Napi::Value(Napi::String::New(env, dir));
  });
}

Napi::Value Addon::cpu(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const kernels::ThreadLimit limit = kernels::compute_threads();
    std::vector<napi_value> isas;
    for (const kernels::Isa isa : kernels::available_isas())
      isas.push_back(Napi::String::New(env, kernels::name_of(isa)));
    auto object = Napi::Object::New(env);
    object.Set("threads", limit.threads);
    object.Set("threadsReason", limit.reason);
    object.Set("isas", from_values(env, isas));
    object.Set("isa", kernels::name_of(kernels::chosen_isa()));
    return object;
  });
}

Napi::Value Addon::set_threads(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    kernels::ComputePool::set_shared_threads(static_cast<int>(to_index(info[0], "threads")));
    return env.Undefined();
  });
}

Napi::Value Addon::cuda_driver(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) { return Napi::Boolean::New(env, has_cuda_driver()); });
}

Napi::Value Addon::cuda(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) -> Napi::Value {
    const CudaReport& report = probe_cuda();
    const auto text = [env](const std::string& s) -> Napi::Value {
      return s.empty() ? env.Null() : Napi::Value(Napi::String::New(env, s));
    };
    auto devices = Napi::Array::New(env, report.devices.size());
    for (uint32_t i = 0; i < report.devices.size(); ++i) {
      const CudaDevice& device = report.devices[i];
      auto object = Napi::Object::New(env);
      object.Set("index", device.index);
      object.Set("name", device.name);
      object.Set("totalMemory", static_cast<double>(device.total_memory));
      object.Set("computeCapability",
                 std::to_string(device.compute_major) + "." + std::to_string(device.compute_minor));
      devices.Set(i, object);
    }
    auto object = Napi::Object::New(env);
    object.Set("available", report.available);
    object.Set("reason", text(report.reason));
    object.Set("detail", text(report.detail));
    object.Set("devices", devices);
    object.Set("defaultDevice", report.default_device);
    return object;
  });
}

Napi::Value Addon::fused(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    const Device device = to_device(info[0]);
    const std::string reason = device.is_cpu() ? "" : unsupported_reason_on_cuda(DType::float32, device);
    std::vector<napi_value> refused;
    for (const Refusal& refusal : refusals(device)) {
      auto object = Napi::Object::New(env);
      object.Set("kernel", refusal.kernel);
      object.Set("reason", refusal.reason);
      refused.push_back(object);
    }
    auto object = Napi::Object::New(env);
    object.Set("reason", reason.empty() ? env.Null() : Napi::Value(Napi::String::New(env, reason)));
    object.Set("refusedKernels", from_values(env, refused));
    return object;
  });
}

}  // namespace tokenlearner

using TokenLearnerAddon = tokenlearner::Addon;
NODE_API_NAMED_ADDON(tokenlearner, TokenLearnerAddon)
