#pragma once

#include <napi.h>

#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "boundary/errors.hpp"
#include "boundary/handle-table.hpp"
#include "boundary/marshal.hpp"
#include "boundary/promise-queue.hpp"
#include "boundary/storage-registry.hpp"
#include "engine/batch/batcher.hpp"
#include "engine/memory/generator.hpp"
#include "engine/run/executor.hpp"
#include "engine/run/layer.hpp"

namespace tokenlearner {

/// One Node environment: the main thread or a worker. It owns its handles, its generator and its executors,
/// and ends them in the environment's clean-up hook. The only state outside it is libtorch, the compute pool
/// and the exit gate.
class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports);

 private:
  // memory.cpp
  Napi::Value allocate(const Napi::CallbackInfo& info);
  Napi::Value share(const Napi::CallbackInfo& info);
  Napi::Value detach(const Napi::CallbackInfo& info);
  Napi::Value dispose_storage(const Napi::CallbackInfo& info);
  Napi::Value counters(const Napi::CallbackInfo& info);
  Napi::Value manual_seed(const Napi::CallbackInfo& info);
  Napi::Value uniform(const Napi::CallbackInfo& info);
  Napi::Value normal(const Napi::CallbackInfo& info);
  Napi::Value random_async(const Napi::CallbackInfo& info);
  Napi::Value copy(const Napi::CallbackInfo& info);
  Napi::Value copy_async(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value write(const Napi::CallbackInfo& info);
  Napi::Value fill(const Napi::CallbackInfo& info);

  // layers.cpp
  Napi::Value create_layer(const Napi::CallbackInfo& info);
  Napi::Value create_container(const Napi::CallbackInfo& info);
  Napi::Value set_parameters(const Napi::CallbackInfo& info);
  Napi::Value parameters(const Napi::CallbackInfo& info);
  Napi::Value parameters_async(const Napi::CallbackInfo& info);
  Napi::Value placement(const Napi::CallbackInfo& info);
  Napi::Value move_layers(const Napi::CallbackInfo& info);
  Napi::Value dispose_layer(const Napi::CallbackInfo& info);
  Napi::Value forward(const Napi::CallbackInfo& info);
  Napi::Value forward_sync(const Napi::CallbackInfo& info);
  Napi::Value next_request_id(const Napi::CallbackInfo& info);
  Napi::Value cancel(const Napi::CallbackInfo& info);
  Napi::Value set_queue_limits(const Napi::CallbackInfo& info);

  // batchers.cpp
  Napi::Value create_batcher(const Napi::CallbackInfo& info);
  Napi::Value batch_forward(const Napi::CallbackInfo& info);
  Napi::Value cancel_batched(const Napi::CallbackInfo& info);
  Napi::Value close_batcher(const Napi::CallbackInfo& info);
  Napi::Value batcher_state(const Napi::CallbackInfo& info);
  Napi::Value hold_batcher(const Napi::CallbackInfo& info);

  // sharing.cpp
  Napi::Value share_layers(const Napi::CallbackInfo& info);
  Napi::Value open_layers(const Napi::CallbackInfo& info);
  Napi::Value adopt_layers(const Napi::CallbackInfo& info);
  Napi::Value share_tensor(const Napi::CallbackInfo& info);
  Napi::Value open_tensor(const Napi::CallbackInfo& info);
  Napi::Value unshare(const Napi::CallbackInfo& info);
  void end_sharing();

  // images.cpp
  Napi::Value images_to_tensor(const Napi::CallbackInfo& info);
  Napi::Value images_to_tensor_sync(const Napi::CallbackInfo& info);
  Napi::Value tensor_to_image(const Napi::CallbackInfo& info);

  // aoti.cpp
  Napi::Value missing_torch_symbols(const Napi::CallbackInfo& info);
  Napi::Value memory_file(const Napi::CallbackInfo& info);
  Napi::Value open_program(const Napi::CallbackInfo& info);
  Napi::Value describe_program(const Napi::CallbackInfo& info);
  Napi::Value none_outputs(const Napi::CallbackInfo& info);

  // addon.cpp
  Napi::Value configure(const Napi::CallbackInfo& info);
  Napi::Value load_libtorch(const Napi::CallbackInfo& info);
  Napi::Value libtorch(const Napi::CallbackInfo& info);
  Napi::Value mapped_libtorch(const Napi::CallbackInfo& info);
  Napi::Value cpu(const Napi::CallbackInfo& info);
  Napi::Value set_threads(const Napi::CallbackInfo& info);
  Napi::Value cuda_driver(const Napi::CallbackInfo& info);
  Napi::Value cuda(const Napi::CallbackInfo& info);
  Napi::Value fused(const Napi::CallbackInfo& info);
  void close_on_exit(Napi::Env env);
  /// After each garbage collection, the tables are swept in a turn of the event loop.
  void watch_collector(Napi::Env env);
  void shut_down();

  struct HeldLayer {
    std::shared_ptr<Layer> layer;
    /// The bytes that were reported to the garbage collector for this handle.
    int64_t reported = 0;
    /// True for a layer that other environments may share.
    bool read_only = false;
  };

  Napi::Value wrap(Napi::Env env, std::shared_ptr<Layer> layer);
  // Each of these throws ERR_INVALID_ARG_TYPE if the value is not a layer's handle.
  Layer& unwrap(Napi::Value handle);
  HeldLayer& held(Napi::Value handle);
  std::vector<std::shared_ptr<Layer>> unwrap_each(Napi::Value handles);
  /// Layers that may change. Throws ERR_SHARED_READ_ONLY.
  std::vector<std::shared_ptr<Layer>> unwrap_writable(Napi::Value handles);
  void sweep_layers(Napi::Env env);

  /// Throws ERR_INVALID_ARG_TYPE if the value is not a batcher's handle.
  Batcher& batcher(Napi::Value handle);
  void sweep_batchers(Napi::Env env);
  /// Fails the waiting requests of all batchers. Must be called before the executors end.
  void close_batchers();

  /// `lanes` is Op::lanes(): an operator that runs side by side with itself has an executor with as many threads.
  Executor& executor_of(Device device, int lanes = 1);
  /// The options of a forward. They include memory for the results if JavaScript must own it.
  CallOptions options_for(const Op& op, const std::vector<TensorArg>& inputs, Napi::Value how);

  /// The id for cancel(), or 0; and the timeout in milliseconds, or a negative number for none.
  struct Limits {
    uint64_t id = 0;
    double timeout = -1;
  };
  /// Runs the operator on its device's executor, or at once. Returns a promise of the outputs.
  Napi::Value submit(Napi::Env env, std::shared_ptr<const Op> op, std::vector<TensorArg> arguments,
                     CallOptions options, Limits limits);
  /// Runs the operator on this thread. Returns the outputs.
  Napi::Value run_now(Napi::Env env, const Op& op, std::vector<TensorArg> arguments, CallOptions options);

  /// Runs a method's body. Converts its exceptions to JavaScript exceptions.
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
  TensorFactory tensors_;
  HandleTable<HeldLayer> layers_;
  Generator generator_;
  std::shared_ptr<int64_t> live_layers_ = std::make_shared<int64_t>(0);
  PromiseQueue promises_;
  HandleTable<std::shared_ptr<Batcher>> batchers_;
  std::map<std::pair<Device, int>, std::unique_ptr<Executor>> executors_;
  QueueLimits queue_limits_;
  int32_t last_request_id_ = 0;
  /// The ids that end with this environment.
  std::set<std::string> shared_;
  bool closed_ = false;
  /// The finalizer of watch_collector finds the addon through this. It may run after the addon is destroyed.
  std::shared_ptr<Addon*> self_ = std::make_shared<Addon*>(this);
};

}  // namespace tokenlearner
