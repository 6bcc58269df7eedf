#pragma once

#include <napi.h>

#include <map>
#include <memory>

#include "boundary/errors.hpp"
#include "boundary/marshal.hpp"
#include "boundary/request.hpp"
#include "boundary/storage-registry.hpp"
#include "engine/executor.hpp"
#include "engine/generator.hpp"
#include "engine/op.hpp"

namespace tokenlearner {

/// One Node environment (the main thread, or a worker): owns its handles, its generator and its executors,
/// and ends them from the environment's clean-up hook. There is no state outside it but libtorch itself and
/// the compute pool.
class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports);

 private:
  /// A layer as JavaScript holds it: a cell whose operator is replaced when parameters, dtype or device
  /// change.
  struct Layer;

  // memory.cpp
  Napi::Value allocate(const Napi::CallbackInfo& info);
  Napi::Value share(const Napi::CallbackInfo& info);
  Napi::Value dispose_storage(const Napi::CallbackInfo& info);
  Napi::Value counters(const Napi::CallbackInfo& info);
  Napi::Value manual_seed(const Napi::CallbackInfo& info);
  Napi::Value uniform(const Napi::CallbackInfo& info);
  Napi::Value normal(const Napi::CallbackInfo& info);
  Napi::Value copy(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value write(const Napi::CallbackInfo& info);
  Napi::Value fill(const Napi::CallbackInfo& info);

  // layers.cpp
  Napi::Value create_layer(const Napi::CallbackInfo& info);
  Napi::Value create_sequence(const Napi::CallbackInfo& info);
  Napi::Value set_parameters(const Napi::CallbackInfo& info);
  Napi::Value parameters(const Napi::CallbackInfo& info);
  Napi::Value move_layers(const Napi::CallbackInfo& info);
  Napi::Value dispose_layer(const Napi::CallbackInfo& info);
  Napi::Value forward(const Napi::CallbackInfo& info);
  Napi::Value forward_sync(const Napi::CallbackInfo& info);

  // addon.cpp
  Napi::Value configure(const Napi::CallbackInfo& info);
  Napi::Value load_libtorch(const Napi::CallbackInfo& info);
  Napi::Value libtorch(const Napi::CallbackInfo& info);
  Napi::Value mapped_libtorch(const Napi::CallbackInfo& info);
  Napi::Value cpu(const Napi::CallbackInfo& info);
  Napi::Value cuda(const Napi::CallbackInfo& info);
  void close_on_exit(Napi::Env env);
  void shut_down();

  static Napi::Value wrap(Napi::Env env, std::unique_ptr<Layer> layer);
  static std::shared_ptr<Layer>& unwrap_layer(Napi::Value handle);
  static std::vector<std::shared_ptr<Layer>> unwrap_layers(Napi::Value handles);
  /// Replaces the operators of several layers: of all, or of none where one cannot be made.
  template <typename F>
  static void replace(const std::vector<std::shared_ptr<Layer>>& layers, F&& make);
  Executor& executor_of(Device device);
  /// forward's options, with memory for the results where JavaScript must own it.
  RunOptions options_for(const Op& op, const TensorArg& input, Napi::Value how);

  /// Runs a method's body; what it throws becomes a JavaScript exception.
  template <typename F>
  Napi::Value guarded(const Napi::CallbackInfo& info, F&& body) {
    try {
      return body(info.Env());
    } catch (const Napi::Error&) {
      throw;
    } catch (...) {
      throw Napi::Error(info.Env(), errors_.make(info.Env(), Failure::of_current_exception()));
    }
  }

  ErrorFactory errors_;
  StorageRegistry storages_;
  Generator generator_;
  std::shared_ptr<int64_t> live_layers_ = std::make_shared<int64_t>(0);
  Settler settler_;
  std::map<int32_t, std::unique_ptr<Executor>> executors_;
  bool closed_ = false;
};

}  // namespace tokenlearner
