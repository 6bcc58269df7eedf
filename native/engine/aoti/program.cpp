#include "engine/aoti/program.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include "engine/aoti/library.hpp"
#include "engine/cuda/stream.hpp"
#include "engine/error.hpp"
#include "engine/memory/copy.hpp"
#include "engine/torch/aten.hpp"
#include "engine/torch/library.hpp"
#include "platform/platform.hpp"

namespace tokenlearner {

namespace {

std::string text_of(const char* text) { return text != nullptr ? text : ""; }

/// The bytes of a file in host memory. Throws ERR_FILE_IO, ERR_OUT_OF_MEMORY.
Storage read_file(const std::string& path) {
  const std::filesystem::path file = platform::path_from(path);
  std::error_code problem;
  const std::uintmax_t bytes = std::filesystem::file_size(file, problem);
  std::ifstream stream(file, std::ios::binary);
  if (problem || !stream) throw Error(ErrorCode::ERR_FILE_IO, "Could not read the weights in " + path);
  Storage memory = Storage::allocate(bytes, false);
  stream.read(reinterpret_cast<char*>(memory.data()), static_cast<std::streamsize>(bytes));
  if (!stream) throw Error(ErrorCode::ERR_FILE_IO, "Could not read the weights in " + path);
  return memory;
}

/// A tensor over memory of the program.
Tensor borrowed(const AotiConstant& constant, Device device) {
  Tensor tensor;
  tensor.dtype = static_cast<DType>(constant.dtype);
  tensor.shape = constant.shape;
  tensor.strides = constant.strides;
  const auto bytes = static_cast<std::size_t>(extent(tensor.shape, tensor.strides)) * item_size(tensor.dtype);
  tensor.storage = Storage(nullptr, constant.data, bytes, device);
  return tensor;
}

/// A copy of `value` in the dtype, the strides and the device of a constant: the compiled code has the strides in it.
Tensor laid_out(const Tensor& value, const AotiConstant& constant, Device device) {
  if (value.shape != constant.shape)
    throw Error(ErrorCode::ERR_STATE_DICT, "The value of " + constant.original_name + " has another shape");
  const auto dtype = static_cast<DType>(constant.dtype);
  const Tensor host = aten::to_copy(value, dtype, Device::cpu());
  Tensor target = Tensor::empty({extent(constant.shape, constant.strides)}, dtype);
  target.shape = constant.shape;
  target.strides = constant.strides;
  if (host.numel() > 0) copy_into(target, host);
  if (device.is_cpu()) return target;
  Tensor flat = target;
  flat.shape = {extent(constant.shape, constant.strides)};
  flat.strides = {1};
  Tensor moved = aten::to_copy(flat, dtype, device);
  moved.shape = constant.shape;
  moved.strides = constant.strides;
  return moved;
}

}  // namespace

class AotiProgram::Turn {
 public:
  explicit Turn(const AotiProgram& program) : program_(program) {
    std::unique_lock lock(program.mutex_);
    program.turn_.wait(lock, [&] { return program.running_ < program.source_.instances; });
    ++program.running_;
  }
  ~Turn() {
    {
      const std::lock_guard lock(program_.mutex_);
      --program_.running_;
    }
    program_.turn_.notify_one();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  const AotiProgram& program_;
};

AotiProgram::AotiProgram(AotiSource source, AotiWeights weights)
    : AotiProgram(source, AotiLibrary::open(source.library), std::move(weights)) {}

AotiProgram::AotiProgram(AotiSource source, std::shared_ptr<const AotiLibrary> library, AotiWeights weights)
    : source_(std::move(source)), library_(std::move(library)), given_(std::move(weights)) {
  adopt_chosen_threads();
  const std::string device = source_.device.to_string();
  const char* const folder = source_.folder.empty() ? nullptr : source_.folder.c_str();
  library_->call("be loaded", library_->create, &container_, static_cast<std::size_t>(source_.instances),
                 device.c_str(), folder);
  try {
    if (!source_.weights.empty()) load_blob();
    read_description();
    read_constants();
    if (!given_.empty()) load_given();
    check_weights();
    synchronize_default_stream(source_.device);
  } catch (...) {
    static_cast<void>(library_->destroy(container_));
    throw;
  }
}

AotiProgram::~AotiProgram() {
  try {
    static_cast<void>(library_->destroy(container_));
  } catch (...) {
    // Nobody is left to hear of it.
  }
}

void AotiProgram::load_given() {
  std::vector<std::size_t> positions;
  std::vector<Tensor> values;
  for (std::size_t i = 0; i < constants_.size(); ++i) {
    AotiConstant& constant = constants_[i];
    if (constant.type == AotiConstant::Type::folded) continue;
    const auto found = given_.find(constant.original_name);
    if (found == given_.end())
      throw Error(ErrorCode::ERR_AOTI_PACKAGE, "The package has no weights for " + constant.original_name);
    constant.shape = found->second.shape;
    constant.strides = found->second.strides;
    positions.push_back(i);
    values.push_back(found->second);
  }
  update(positions, values);
}

void AotiProgram::check_weights() const {
  if (library_->constants == nullptr) return;
  for (const AotiConstant& constant : constants_) {
    if (constant.type == AotiConstant::Type::folded || constant.has_value) continue;
    throw Error(ErrorCode::ERR_AOTI_PACKAGE,
                "The package has no value for the constant " + constant.original_name);
  }
}

void AotiProgram::load_blob() {
  if (library_->load_blob == nullptr || library_->blob_size == nullptr) {
    throw Error(ErrorCode::ERR_AOTI_PACKAGE,
                "The package keeps its weights in a file of their own, which its library cannot load");
  }
  std::uint64_t expected = 0;
  library_->call("tell the size of its weights", library_->blob_size, container_, &expected);
  blob_ = read_file(source_.weights);
  if (blob_.bytes() < expected) {
    throw Error(ErrorCode::ERR_AOTI_PACKAGE, "Expected " + std::to_string(expected) +
                                                 " bytes of weights in the package but found " +
                                                 std::to_string(blob_.bytes()));
  }
  library_->call("load its weights", library_->load_blob, container_,
                 reinterpret_cast<const std::uint8_t*>(blob_.data()));
}

void AotiProgram::read_description() {
  const char* in = nullptr;
  const char* out = nullptr;
  library_->call("tell its inputs", library_->num_inputs, container_, &num_inputs_);
  library_->call("tell its outputs", library_->num_outputs, container_, &num_outputs_);
  library_->call("tell its call spec", library_->call_spec, container_, &in, &out);
  in_spec_ = text_of(in);
  out_spec_ = text_of(out);
}

void AotiProgram::read_constants() {
  std::size_t count = 0;
  library_->call("tell its constants", library_->num_constants, container_, &count);
  for (std::size_t i = 0; i < count; ++i) {
    AotiConstant constant;
    const char* name = nullptr;
    const char* original = nullptr;
    bool folded = false;
    auto type = static_cast<int32_t>(AotiConstant::Type::unknown);
    library_->call("tell its constants", library_->constant_name, container_, i, &name);
    library_->call("tell its constants", library_->constant_original_name, container_, i, &original);
    library_->call("tell its constants", library_->constant_from_folded, container_, i, &folded);
    library_->call("tell its constants", library_->constant_dtype, container_, i, &constant.dtype);
    if (library_->constant_type != nullptr)
      library_->call("tell its constants", library_->constant_type, container_, i, &type);
    constant.name = text_of(name);
    constant.original_name = text_of(original);
    constant.type = folded ? AotiConstant::Type::folded : static_cast<AotiConstant::Type>(type);
    has_folded_ = has_folded_ || folded;
    constants_.push_back(std::move(constant));
  }
  if (library_->constants == nullptr) return;
  const AotiConstantEntry* entries = nullptr;
  std::size_t num_entries = 0;
  library_->call("tell its constants", library_->constants, container_, &entries, &num_entries, false);
  std::map<std::string, AtenTensorHandle> handles;
  for (std::size_t i = 0; i < num_entries; ++i) handles.emplace(text_of(entries[i].name), entries[i].handle);
  for (AotiConstant& constant : constants_) {
    const auto found = handles.find(constant.original_name);
    if (found == handles.end() || constant.type == AotiConstant::Type::folded) continue;
    constant.has_value = true;
    if (item_size(static_cast<DType>(constant.dtype)) == 0) continue;
    try {
      TorchLayout layout = layout_of(found->second);
      constant.has_shape = layout.data != nullptr || extent(layout.shape, layout.strides) == 0;
      constant.shape = std::move(layout.shape);
      constant.strides = std::move(layout.strides);
      constant.data = layout.data;
    } catch (const Error&) {
      // A layout of oneDNN's: such a constant has no strides and stays as it is.
    }
  }
}

bool AotiProgram::can_update() const {
  return library_->update_constants != nullptr && library_->constants != nullptr;
}

std::vector<TorchTensor> AotiProgram::run(const std::vector<Tensor>& inputs) const {
  const Turn turn(*this);
  if (is_broken_)
    throw Error(ErrorCode::ERR_AOTI_RUN,
                "The compiled program failed in its first run: load the package again");
  const ThreadShare share(source_.device.is_cpu() ? source_.instances : 1);
  std::vector<TorchTensor> views;
  views.reserve(inputs.size());
  for (const Tensor& input : inputs) views.push_back(TorchTensor::view(input));
  // A run takes these handles, and sets those that it has taken to null.
  std::vector<AtenTensorHandle> given(inputs.size(), nullptr);
  std::vector<AtenTensorHandle> made(num_outputs_, nullptr);
  const auto discard = [](std::vector<AtenTensorHandle>& handles) {
    for (AtenTensorHandle handle : handles) {
      if (handle != nullptr) torch().aoti_torch_delete_tensor_object(handle);
    }
  };
  try {
    for (std::size_t i = 0; i < views.size(); ++i) given[i] = views[i].duplicate();
    library_->call("run", library_->run, container_, given.data(), given.size(), made.data(), made.size(),
                   current_stream(source_.device), static_cast<void*>(nullptr));
  } catch (...) {
    discard(given);
    discard(made);
    // A container whose first run fails while it computes constants has lost an instance.
    if (has_folded_ && !has_run_) is_broken_ = true;
    throw;
  }
  has_run_ = true;
  std::vector<TorchTensor> outputs;
  outputs.reserve(made.size());
  std::vector<std::size_t> none;
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (made[i] == nullptr) {
      none.push_back(i);
    } else {
      outputs.emplace_back(made[i]);
    }
  }
  if (!none.empty()) none_->set(std::move(none));
  return outputs;
}

bool AotiProgram::owns_alone(const void* data, std::size_t bytes) const {
  // Nobody tells where folded constants are, nor those of older packages.
  if (has_folded_ || (library_->constants == nullptr && !constants_.empty())) return false;
  const auto* const first = static_cast<const std::byte*>(data);
  for (const AotiConstant& constant : constants_) {
    if (!constant.has_shape) return false;
    const auto* const start = static_cast<const std::byte*>(constant.data);
    const auto size = static_cast<std::size_t>(extent(constant.shape, constant.strides)) *
                      item_size(static_cast<DType>(constant.dtype));
    if (first < start + size && start < first + bytes) return false;
  }
  return true;
}

void AotiProgram::update(const std::vector<std::size_t>& positions, const std::vector<Tensor>& values) {
  if (!can_update()) {
    throw Error(
        ErrorCode::ERR_AOTI_PACKAGE,
        "The package has no AOTInductorModelContainerUpdateConstantBufferPairs, so its weights cannot "
        "change: export it again with a newer PyTorch");
  }
  std::vector<Tensor> tensors;
  std::vector<TorchTensor> views;
  std::vector<AotiConstantEntry> entries;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const AotiConstant& constant = constants_.at(positions[i]);
    tensors.push_back(laid_out(values[i], constant, source_.device));
    views.push_back(TorchTensor::view(tensors.back()));
    entries.push_back({constant.name.c_str(), views.back().get()});
  }
  synchronize(source_.device);
  const TorchDeviceGuard guard(source_.device);
  library_->call("take new weights", library_->update_constants, container_, entries.data(), entries.size(),
                 false, false);
  // Before a run reads them, and before the tensors here are freed.
  synchronize_default_stream(source_.device);
  constants_.clear();
  read_constants();
}

std::shared_ptr<const AotiProgram> AotiProgram::with_values(const std::vector<std::size_t>& positions,
                                                            const std::vector<Tensor>& values) const {
  auto updated = std::make_shared<AotiProgram>(source_, library_, given_);
  updated->none_ = none_;
  updated->update(positions, values);
  return updated;
}

Tensor AotiProgram::value(const AotiConstant& constant) const {
  return aten::clone(borrowed(constant, source_.device));
}

}  // namespace tokenlearner
