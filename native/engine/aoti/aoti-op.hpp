#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "engine/aoti/program.hpp"
#include "engine/run/join-trial.hpp"
#include "engine/run/op.hpp"

namespace tokenlearner {

/// A dimension of an input or an output.
struct AotiDimension {
  /// Dimensions of one symbol have equal sizes. 0 for a fixed size.
  int64_t symbol = 0;
  int64_t min = 0;
  int64_t max = 0;
};

/// The compiled code expects this of an input and does not check it.
struct AotiInputSpec {
  DType dtype = DType::float32;
  std::vector<AotiDimension> dimensions;
  /// The dimensions from the outermost in memory to the innermost.
  std::vector<std::size_t> order;
};

struct AotiSignature {
  std::vector<AotiInputSpec> inputs;
  /// For each output, whether its first dimension has the symbol of the first input's first one. Empty if unknown.
  std::vector<bool> joined_outputs;
};

/// A compiled program as an operator. It is opened by open(), on a thread of the caller's choice, before anything else but
/// placement() and with() is called. See Note [Compiled programs] in library.hpp.
///
/// Requests share a run if the input's first dimension is dynamic, nothing tells that an output's is another one, and the trial of
/// Note [Trial of a join] has passed. The last bits of a result can depend on the size of the batch: see Note
/// [How requests share a run] in run/joined.hpp.
class AotiOp final : public Op {
 public:
  AotiOp(AotiSource source, AotiSignature signature, Placement placement);

  /// Opens the program, with weights if its library has none. Throws the errors of AotiProgram.
  void open(AotiWeights weights) const;
  /// Throws ERR_AOTI_PACKAGE before open().
  const AotiProgram& program() const { return *opened(); }

  Outputs run(Inputs inputs, const CallOptions& options) const override;
  std::optional<int64_t> joined_rank(int64_t rank) const override;
  JoinTrial* join_trial() const override { return trial_.get(); }
  int64_t most_joined() const override;
  bool runs_anywhere() const override { return false; }
  bool can_move_to(Device device) const override { return device == placement().device; }
  int lanes() const override { return source_.device.is_cpu() ? source_.instances : 1; }
  std::vector<Tensor> host_parameters() const override;
  std::shared_ptr<const Op> with_values(const std::vector<Tensor>& values) const override;
  /// Throws ERR_INVALID_ARG_VALUE: the code is for one device and its dtypes.
  std::shared_ptr<const Op> with(Placement placement, std::vector<Tensor> parameters) const override;

  /// True for the constants that are a module's parameters and buffers: those of host_parameters(), in that order.
  static bool is_parameter(const AotiConstant& constant);

 private:
  std::shared_ptr<const AotiProgram> opened() const;
  void check(Inputs inputs) const;
  Tensor prepared(const Tensor& input, const AotiInputSpec& spec) const;
  Outputs owned(const std::vector<TorchTensor>& made, const std::vector<Tensor>& inputs) const;

  AotiSource source_;
  AotiSignature signature_;
  /// That of the program, whatever its weights.
  std::shared_ptr<JoinTrial> trial_ = std::make_shared<JoinTrial>();
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const AotiProgram> program_;
};

}  // namespace tokenlearner
