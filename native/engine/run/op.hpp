#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/cuda/stream.hpp"
#include "engine/error.hpp"
#include "engine/memory/tensor.hpp"
#include "engine/run/config.hpp"

namespace tokenlearner {

/// The options of one call.
struct CallOptions {
  /// The layer's own options by name.
  Config values;
  /// Host memory for the outputs, by position, if the caller must own it. See Op::result_bytes().
  std::vector<Storage> results;
  /// True for an inline run: it computes on the calling thread and waits for no other thread.
  bool runs_inline = false;

  /// A contiguous tensor in host memory for output `i`. It uses `results[i]` if that has the right size,
  /// otherwise new memory.
  Tensor result(std::size_t i, Dims shape, DType dtype) const;
};

using Inputs = std::span<const Tensor>;
using Outputs = std::vector<Tensor>;

/// One request of a list that runs as one.
struct ListedRequest {
  Inputs inputs;
  const CallOptions* options;
};

using RequestList = std::span<const ListedRequest>;

/// The device and the dtype of an operator with parameters.
struct Placement {
  DType dtype = DType::float32;
  Device device;
};

class JoinTrial;

/// One operator: configuration and parameters. Both are immutable, so any number of threads may run it at
/// once. A change of parameters, dtype or device makes a new operator. A running request keeps the old one
/// alive.
class Op {
 public:
  virtual ~Op() = default;

  /// Blocks until the outputs are complete. The inputs are on this operator's device. Any thread.
  virtual Outputs run(Inputs inputs, const CallOptions& options) const = 0;

  const Placement& placement() const { return placement_; }
  const std::vector<Tensor>& parameters() const { return parameters_; }

  /// The bytes of each output that run() writes into CallOptions::results. Empty if it does not use them.
  virtual std::vector<std::size_t> result_bytes(std::span<const Dims>, const CallOptions&) const {
    return {};
  }

  /// True if run() takes less time than handing the inputs to another thread.
  virtual bool runs_inline(Inputs) const { return false; }

  /// The rank of the output for an input of this rank, if inputs may be joined along axis 0: each slice of
  /// axis 0 of the output then depends on that slice of the input alone. See Note [How requests share a run]
  /// in run/joined.hpp.
  virtual std::optional<int64_t> joined_rank(int64_t) const { return std::nullopt; }

  /// True if run_list() takes inputs that differ in their last two dimensions too.
  virtual bool takes_any_size() const { return false; }

  /// Requests of one dtype, one device and equal options whose inputs have equal keys may run together by
  /// run_list(). Empty if a request with such an input runs alone.
  virtual std::optional<Dims> batch_key(const Dims& shape) const;

  /// The largest size of axis 0 that one run takes: joined requests are divided into several runs.
  virtual int64_t most_joined() const { return std::numeric_limits<int64_t>::max(); }

  /// Null, unless the samples of a batch may depend on each other: then requests share runs once the trial has passed. See Note
  /// [Trial of a join] in run/join-trial.hpp.
  virtual JoinTrial* join_trial() const { return nullptr; }

  /// Runs at least two requests as one. Their inputs may be on any device. The outputs may be views of common
  /// memory. The default joins them along axis 0, with the default options. Any thread.
  virtual std::vector<Outputs> run_list(RequestList list) const;

  /// True if run() puts its outputs on the device that the caller wants, in memory of their own.
  virtual bool places_outputs() const { return false; }

  /// True if the operator has no parameters. Then it runs on the device of its first input.
  virtual bool runs_anywhere() const { return parameters_.empty(); }

  /// False if no copy of the operator runs on this device: see relocated().
  virtual bool can_move_to(Device) const { return true; }

  /// The threads of the CPU that may run it side by side.
  virtual int lanes() const { return 1; }

  /// Copies of the parameters on the CPU. They are contiguous.
  virtual std::vector<Tensor> host_parameters() const;

  /// The same operator with other values of host_parameters(), which may be anywhere, in any dtype. Throws ERR_STATE_DICT if
  /// their number differs.
  virtual std::shared_ptr<const Op> with_values(const std::vector<Tensor>& values) const;

  /// The same operator with other parameters. They are contiguous and already have `placement`'s dtype and
  /// device.
  virtual std::shared_ptr<const Op> with(Placement placement, std::vector<Tensor> parameters) const = 0;

 protected:
  Op(Placement placement, std::vector<Tensor> parameters)
      : placement_(placement), parameters_(std::move(parameters)) {}

  const Tensor& parameter(std::size_t i) const { return parameters_.at(i); }
  /// Null if the operator was made without it (bias: false).
  const Tensor* optional_parameter(std::size_t i) const {
    return i < parameters_.size() ? &parameters_[i] : nullptr;
  }

 private:
  Placement placement_;
  std::vector<Tensor> parameters_;
};

/// Implements with() for an operator with a copyable configuration `Settings` and a constructor that takes
/// (Settings, Placement, parameters).
template <typename Derived, typename Settings>
class ConfiguredOp : public Op {
 public:
  ConfiguredOp(Settings settings, Placement placement, std::vector<Tensor> parameters)
      : Op(placement, std::move(parameters)), settings_(std::move(settings)) {}

  std::shared_ptr<const Op> with(Placement placement, std::vector<Tensor> parameters) const override {
    return std::make_shared<Derived>(settings_, placement, std::move(parameters));
  }

 protected:
  const Settings& settings() const { return settings_; }

 private:
  Settings settings_;
};

/// The bytes of the elements of all inputs.
std::size_t byte_length(Inputs inputs);

/// The only input. Throws ERR_INVALID_ARG_VALUE if there are none or several.
const Tensor& only(Inputs inputs);

/// Copies parameters to a placement. The copies are contiguous and complete. Throws ERR_DEVICE_LOST too.
std::vector<Tensor> place(const std::vector<Tensor>& parameters, Placement placement);

/// A contiguous copy that is complete: other threads may use it on their own streams. Throws ERR_DEVICE_LOST too.
Tensor completed_copy(const Tensor& tensor, DType dtype, Device device);

/// The device on which `op` runs if its first input is on `input`.
Device device_for(const Op& op, Device input);

/// `tensor` itself if it is on `device`, otherwise a copy there.
Tensor moved(const Tensor& tensor, Device device);

/// Waits for the device after a failure of work on it. Throws ERR_DEVICE_LOST if that is lost.
void fail_run(Device device, const Error& error);

/// Calls `run` for work on `device`. After a failure it waits for the device, and marks it if it is lost. Throws
/// what `run` throws, or ERR_DEVICE_LOST.
template <typename F>
auto guarded_run(Device device, F&& run) -> decltype(run()) {
  check_not_lost(device);
  try {
    return run();
  } catch (const Error& error) {
    fail_run(device, error);
    throw;
  }
}

/// Runs `op` on inputs of any device. Moves the inputs to `device` (the result of device_for()) and the
/// outputs to the device of the first input. Outputs never share memory with an input.
Outputs run_on(const Op& op, Device device, Inputs inputs, const CallOptions& options);

}  // namespace tokenlearner
