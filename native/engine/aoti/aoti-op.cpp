#include "engine/aoti/aoti-op.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "engine/aoti/library.hpp"
#include "engine/error.hpp"
#include "engine/torch/aten.hpp"

namespace tokenlearner {

namespace {

/// CUDA code reads vectors of so many bytes.
constexpr std::size_t kCudaAlignment = 16;

std::string text_of(const Dims& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

/// The bytes from the first to the last element.
std::size_t span_of(const Tensor& tensor) {
  return static_cast<std::size_t>(extent(tensor.shape, tensor.strides)) * item_size(tensor.dtype);
}

bool overlap(const Tensor& a, const Tensor& b) {
  return a.device() == b.device() && a.data() < b.data() + span_of(b) && b.data() < a.data() + span_of(a);
}

/// The same elements with the dimensions in another order.
Tensor permuted(const Tensor& tensor, const std::vector<std::size_t>& order) {
  Tensor view = tensor;
  for (std::size_t i = 0; i < order.size(); ++i) {
    view.shape[i] = tensor.shape[order[i]];
    view.strides[i] = tensor.strides[order[i]];
  }
  return view;
}

/// A contiguous bool tensor whose bytes are 0 and 1. Memory of the caller's may have others, which mean true, as everywhere in this
/// package; compiled code computes with the bytes.
Tensor zeros_and_ones(const Tensor& tensor) {
  if (tensor.device().is_cpu()) {
    const auto* const bytes = reinterpret_cast<const unsigned char*>(tensor.data());
    if (std::all_of(bytes, bytes + tensor.numel(), [](unsigned char byte) { return byte <= 1; }))
      return tensor;
  }
  Tensor bytes = tensor;
  bytes.dtype = DType::uint8;
  return aten::to_copy(bytes, DType::boolean, tensor.device());
}

std::vector<std::size_t> inverse(const std::vector<std::size_t>& order) {
  std::vector<std::size_t> result(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) result[order[i]] = i;
  return result;
}

}  // namespace

AotiOp::AotiOp(AotiSource source, AotiSignature signature, Placement placement)
    : Op(placement, {}), source_(std::move(source)), signature_(std::move(signature)) {
  source_.device = placement.device;
}

void AotiOp::open(AotiWeights weights) const {
  const std::lock_guard lock(mutex_);
  if (program_ != nullptr) return;
  const TorchDeviceGuard guard(source_.device);
  auto program = std::make_shared<const AotiProgram>(source_, std::move(weights));
  if (program->num_inputs() != signature_.inputs.size()) {
    throw Error(ErrorCode::ERR_AOTI_PACKAGE, "The program takes " + std::to_string(program->num_inputs()) +
                                                 " tensors, but its signature has " +
                                                 std::to_string(signature_.inputs.size()));
  }
  program_ = std::move(program);
}

std::shared_ptr<const AotiProgram> AotiOp::opened() const {
  const std::lock_guard lock(mutex_);
  if (program_ == nullptr) throw Error(ErrorCode::ERR_AOTI_PACKAGE, "The program was not opened");
  return program_;
}

void AotiOp::check(Inputs inputs) const {
  if (inputs.size() != signature_.inputs.size()) {
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected " + std::to_string(signature_.inputs.size()) +
                                                      " inputs for a compiled program but received " +
                                                      std::to_string(inputs.size()));
  }
  std::map<int64_t, int64_t> sizes;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const AotiInputSpec& spec = signature_.inputs[i];
    const Tensor& input = inputs[i];
    const std::string which = "input " + std::to_string(i) + " of a compiled program";
    if (input.dtype != spec.dtype) {
      throw Error(ErrorCode::ERR_DTYPE_MISMATCH, std::string("Expected dtype ") + name_of(spec.dtype) +
                                                     " for " + which + " but received " +
                                                     name_of(input.dtype));
    }
    bool fits = input.shape.size() == spec.dimensions.size();
    for (std::size_t d = 0; fits && d < spec.dimensions.size(); ++d) {
      const AotiDimension& dimension = spec.dimensions[d];
      const int64_t size = input.shape[d];
      fits = size >= dimension.min && size <= dimension.max;
      if (fits && dimension.symbol != 0)
        fits = sizes.try_emplace(dimension.symbol, size).first->second == size;
    }
    if (!fits)
      throw Error(ErrorCode::ERR_SHAPE_MISMATCH,
                  "The shape " + text_of(input.shape) + " does not fit " + which);
  }
}

Tensor AotiOp::prepared(const Tensor& input, const AotiInputSpec& spec) const {
  Tensor in_order = permuted(input, spec.order);
  const bool aligned =
      input.device().is_cpu() || reinterpret_cast<std::uintptr_t>(input.data()) % kCudaAlignment == 0;
  if (!in_order.is_contiguous() || !aligned) in_order = aten::clone(in_order);
  if (in_order.dtype == DType::boolean) in_order = zeros_and_ones(in_order);
  // The compiled code reads with the strides of a tensor without gaps, also where a size is 1.
  in_order.strides = contiguous_strides(in_order.shape);
  return permuted(in_order, inverse(spec.order));
}

Outputs AotiOp::owned(const std::vector<TorchTensor>& made, const std::vector<Tensor>& inputs) const {
  const std::shared_ptr<const AotiProgram> program = opened();
  Outputs outputs;
  outputs.reserve(made.size());
  for (const TorchTensor& handle : made) {
    Tensor output = handle.to_tensor();
    if (item_size(output.dtype) == 0) {
      throw Error(ErrorCode::ERR_DTYPE_MISMATCH,
                  "The compiled program returned a tensor of a dtype that "
                  "this package does not have (libtorch's " +
                      std::to_string(static_cast<int32_t>(output.dtype)) + ")");
    }
    const auto shares = [&output](const Tensor& other) { return overlap(output, other); };
    const bool is_own = std::none_of(inputs.begin(), inputs.end(), shares) &&
                        std::none_of(outputs.begin(), outputs.end(), shares) &&
                        program->owns_alone(output.data(), span_of(output));
    outputs.push_back(is_own && output.is_contiguous() ? output : aten::clone(output));
  }
  return outputs;
}

Outputs AotiOp::run(Inputs inputs, const CallOptions&) const {
  check(inputs);
  const std::shared_ptr<const AotiProgram> program = opened();
  std::vector<Tensor> arguments;
  arguments.reserve(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i)
    arguments.push_back(prepared(inputs[i], signature_.inputs[i]));
  return owned(program->run(arguments), arguments);
}

std::optional<int64_t> AotiOp::joined_rank(int64_t rank) const {
  if (signature_.inputs.size() != 1) return std::nullopt;
  const std::vector<AotiDimension>& dimensions = signature_.inputs[0].dimensions;
  if (dimensions.empty() || static_cast<int64_t>(dimensions.size()) != rank || dimensions[0].symbol == 0)
    return std::nullopt;
  // The other dimensions of a batch are those of each request. A symbol of the first one there would grow with it.
  for (std::size_t d = 1; d < dimensions.size(); ++d) {
    if (dimensions[d].symbol == dimensions[0].symbol) return std::nullopt;
  }
  const std::vector<bool>& joined = signature_.joined_outputs;
  const bool all =
      !trial_->has_failed() && std::all_of(joined.begin(), joined.end(), [](bool each) { return each; });
  // The rank of the output is not known before the run, and nothing depends on it but that there is one.
  return all ? std::optional<int64_t>(rank) : std::nullopt;
}

int64_t AotiOp::most_joined() const {
  const bool is_batch = !signature_.inputs.empty() && !signature_.inputs[0].dimensions.empty();
  return is_batch ? signature_.inputs[0].dimensions[0].max : Op::most_joined();
}

bool AotiOp::is_parameter(const AotiConstant& constant) {
  using Type = AotiConstant::Type;
  return constant.has_shape && constant.type != Type::tensor && constant.type != Type::folded;
}

std::vector<Tensor> AotiOp::host_parameters() const {
  const std::shared_ptr<const AotiProgram> program = opened();
  std::vector<Tensor> values;
  guarded_run(source_.device, [&] {
    for (const AotiConstant& constant : program->constants()) {
      if (!is_parameter(constant)) continue;
      const Tensor value = program->value(constant);
      values.push_back(aten::to_copy(value, value.dtype, Device::cpu()));
    }
  });
  return values;
}

std::shared_ptr<const Op> AotiOp::with_values(const std::vector<Tensor>& values) const {
  const std::shared_ptr<const AotiProgram> program = opened();
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < program->constants().size(); ++i) {
    if (is_parameter(program->constants()[i])) positions.push_back(i);
  }
  if (positions.size() != values.size())
    throw Error(ErrorCode::ERR_STATE_DICT, "Expected " + std::to_string(positions.size()) + " parameters");
  auto updated = std::make_shared<AotiOp>(source_, signature_, placement());
  updated->program_ = guarded_run(source_.device, [&] { return program->with_values(positions, values); });
  updated->trial_ = trial_;
  return updated;
}

std::shared_ptr<const Op> AotiOp::with(Placement placement, std::vector<Tensor>) const {
  throw Error(ErrorCode::ERR_INVALID_ARG_VALUE,
              "A compiled program cannot move to " + placement.device.to_string() + " in " +
                  name_of(placement.dtype) + ": its code is for " + source_.device.to_string() +
                  " and its own dtypes. Export the program again");
}

}  // namespace tokenlearner
