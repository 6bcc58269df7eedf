#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/memory/tensor.hpp"

namespace tokenlearner {

// Of library.hpp and torch/abi.hpp, which native/boundary does not see.
class AotiLibrary;
class TorchTensor;
using AotiContainer = struct AotiContainerOpaque*;

/// Where a program's files are, and how it runs.
struct AotiSource {
  /// The shared library, an absolute path.
  std::string library;
  /// The folder of the CUDA kernels.
  std::string folder;
  /// The file of the weights, if they are not in the library. Otherwise empty.
  std::string weights;
  Device device;
  /// The most runs at a time.
  int instances = 1;
};

/// Values of constants by their original names.
using AotiWeights = std::map<std::string, Tensor>;

/// A constant of a program: a parameter, a buffer, or a tensor that the compiler made.
struct AotiConstant {
  /// AOTInductor's ConstantType.
  enum class Type : int32_t { unknown, parameter, buffer, tensor, folded };

  std::string name;
  /// The name in the module that was exported.
  std::string original_name;
  Type type = Type::unknown;
  int32_t dtype = 0;
  /// False if the container has no value for it, or the package does not tell.
  bool has_value = false;
  /// False if the package does not tell the shape. Then it cannot be read or replaced.
  bool has_shape = false;
  Dims shape;
  Dims strides;
  /// The memory of its current value; null without a shape.
  void* data = nullptr;
};

/// The outputs that are None, by position: a part of the code, so the same for each run and all weights. Known after the first run.
/// Any thread.
class NoneOutputs {
 public:
  void set(std::vector<std::size_t> positions) {
    const std::lock_guard lock(mutex_);
    positions_ = std::move(positions);
  }
  std::vector<std::size_t> get() const {
    const std::lock_guard lock(mutex_);
    return positions_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::size_t> positions_;
};

/// A compiled program with the values of its constants. Immutable, apart from what the program does to its own buffers. Any thread
/// may run it. It is deleted when nobody holds it.
class AotiProgram {
 public:
  /// Opens the library, which runs its code, and loads the constants. Throws ERR_AOTI_PACKAGE, ERR_AOTI_RUN, ERR_FILE_IO,
  /// ERR_OUT_OF_MEMORY.
  ///
  /// @param weights - for a package whose library has none. Their shapes and strides are those that the code expects.
  AotiProgram(AotiSource source, AotiWeights weights);
  /// The same with a library that is open.
  AotiProgram(AotiSource source, std::shared_ptr<const AotiLibrary> library, AotiWeights weights);
  ~AotiProgram();
  AotiProgram(const AotiProgram&) = delete;
  AotiProgram& operator=(const AotiProgram&) = delete;

  const AotiSource& source() const { return source_; }
  std::size_t num_inputs() const { return num_inputs_; }
  std::size_t num_outputs() const { return num_outputs_; }
  /// The trees of the inputs and the outputs, as PyTorch's JSON.
  const std::string& in_spec() const { return in_spec_; }
  const std::string& out_spec() const { return out_spec_; }
  const std::vector<AotiConstant>& constants() const { return constants_; }
  /// True if with_values() works.
  bool can_update() const;

  /// That of all programs that with_values() has made of this one. It outlives them.
  std::shared_ptr<const NoneOutputs> none_outputs() const { return none_; }

  /// Runs the program. The inputs are on its device, and as the program expects them. Waits while `instances` runs are
  /// under way. Outputs that are None are left out. The outputs may use the memory of inputs and
  /// constants: see owns_alone(). Throws ERR_AOTI_RUN, ERR_OUT_OF_MEMORY, ERR_DEVICE_LOST.
  std::vector<TorchTensor> run(const std::vector<Tensor>& inputs) const;

  /// False if an output may use memory of a constant.
  bool owns_alone(const void* data, std::size_t bytes) const;

  /// The same program with other values of some constants, by position. Values have the constants' shapes.
  std::shared_ptr<const AotiProgram> with_values(const std::vector<std::size_t>& positions,
                                                 const std::vector<Tensor>& values) const;

  /// A copy of a constant's value, on its device. Precondition: has_shape.
  Tensor value(const AotiConstant& constant) const;

 private:
  void load_blob();
  void load_given();
  /// A run without them would read memory that is not there.
  void check_weights() const;
  /// Gives the container values, each in the layout that it has.
  void update(const std::vector<std::size_t>& positions, const std::vector<Tensor>& values);
  void read_description();
  void read_constants();
  /// One of the `instances` runs.
  class Turn;

  AotiSource source_;
  std::shared_ptr<const AotiLibrary> library_;
  AotiWeights given_;
  /// The weights' file. The container may use it in place.
  Storage blob_;
  AotiContainer container_ = nullptr;
  std::size_t num_inputs_ = 0;
  std::size_t num_outputs_ = 0;
  std::string in_spec_;
  std::string out_spec_;
  std::vector<AotiConstant> constants_;
  /// True if the compiler's first run computes some constants.
  bool has_folded_ = false;
  std::shared_ptr<NoneOutputs> none_ = std::make_shared<NoneOutputs>();

  // A container's own queue can wait for ever after a run that failed, so it never has to wait.
  mutable std::mutex mutex_;
  mutable std::condition_variable turn_;
  mutable int running_ = 0;
  mutable std::atomic<bool> has_run_ = false;
  mutable std::atomic<bool> is_broken_ = false;
};

}  // namespace tokenlearner
