#pragma once

#include <memory>
#include <vector>

#include "engine/tensor.hpp"

namespace tokenlearner {

struct RunOptions {
  /// TokenLearner: also give the attention maps.
  bool return_attention = false;
  /// TokenLearner: (..., G, C) instead of (..., C, G).
  bool tokens_first = false;
  /// Host memory for the outputs, by their positions, where the caller must own it: see Op::result_bytes().
  std::vector<Storage> results;

  /// A contiguous tensor in host memory for output `i`: over `results[i]` where that has its size, else new.
  Tensor result(std::size_t i, Dims shape, DType dtype) const;
};

/// The output, and for a TokenLearner that was asked for them the attention maps.
using Outputs = std::vector<Tensor>;

/// Where and in what an operator with parameters computes.
struct Placement {
  DType dtype = DType::kFloat32;
  Device device;
};

/// One operator: configuration and parameters, both immutable, so any number of threads may run it at once.
/// Changing parameters, dtype or device makes a new one; a run under way keeps the old one alive.
class Op {
 public:
  virtual ~Op() = default;

  /// Any thread; blocks until the result is there. The input is on this op's device.
  virtual Outputs run(const Tensor& input, const RunOptions& options) const = 0;

  const Placement& placement() const { return placement_; }
  const std::vector<Tensor>& parameters() const { return parameters_; }

  /// Bytes of the outputs that run() writes into RunOptions::results; empty where it does not use them.
  virtual std::vector<std::size_t> result_bytes(const Dims&, const RunOptions&) const { return {}; }

  /// Whether run() on this input takes less time than handing it to another thread would.
  virtual bool is_brief(const Tensor&) const { return false; }

  /// Whether it has nothing to place and so runs where its input is.
  virtual bool runs_anywhere() const { return parameters_.empty(); }

  /// The same operator with other parameters (already of `placement`'s dtype and device, contiguous).
  virtual std::shared_ptr<const Op> with(Placement placement, std::vector<Tensor> parameters) const = 0;

 protected:
  Op(Placement placement, std::vector<Tensor> parameters)
      : placement_(placement), parameters_(std::move(parameters)) {}

  const Tensor& parameter(std::size_t i) const { return parameters_.at(i); }
  /// Null where the operator was made without it (bias: false).
  const Tensor* optional_parameter(std::size_t i) const {
    return i < parameters_.size() ? &parameters_[i] : nullptr;
  }

 private:
  Placement placement_;
  std::vector<Tensor> parameters_;
};

/// `with` for an operator whose configuration is a copyable `Config` and whose constructor takes (Config,
/// Placement, parameters).
template <typename Derived, typename Config>
class ConfiguredOp : public Op {
 public:
  ConfiguredOp(Config config, Placement placement, std::vector<Tensor> parameters)
      : Op(placement, std::move(parameters)), config_(std::move(config)) {}

  std::shared_ptr<const Op> with(Placement placement, std::vector<Tensor> parameters) const override {
    return std::make_shared<Derived>(config_, placement, std::move(parameters));
  }

 protected:
  const Config& config() const { return config_; }

 private:
  Config config_;
};

/// Copies parameters to a placement, contiguous.
std::vector<Tensor> place(const std::vector<Tensor>& parameters, Placement placement);

/// The device on which `op` runs for an input that is on `input`.
Device device_for(const Op& op, Device input);

/// Runs `op` on an input of any device: it is moved to the op's, and the outputs to the input's. Outputs
/// never share the input's memory.
Outputs run_from_anywhere(const Op& op, const Tensor& input, const RunOptions& options);

}  // namespace tokenlearner
