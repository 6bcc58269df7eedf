#include "engine/torch/abi.hpp"

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "engine/error.hpp"
#include "engine/torch/library.hpp"

namespace tokenlearner {

namespace {

// The schema version of the arguments below: that of the target, not of the installed headers.
constexpr uint64_t kSchemaVersion = TORCH_TARGET_VERSION;

constexpr int32_t kDeviceTypeCpu = 0;
constexpr int32_t kDeviceTypeCuda = 1;

int32_t device_type_of(Device device) { return device.is_cpu() ? kDeviceTypeCpu : kDeviceTypeCuda; }

/// libtorch's index for the CPU is -1.
int32_t device_index_of(Device device) { return device.is_cpu() ? -1 : device.index; }

bool contains_one_of(const std::string& text, std::initializer_list<const char*> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [&text](const char* part) { return text.find(part) != std::string::npos; });
}

template <typename T>
StableIValue bits(T value) {
  static_assert(sizeof(T) <= sizeof(StableIValue));
  StableIValue result = 0;
  std::memcpy(&result, &value, sizeof(T));
  return result;
}

}  // namespace

// The message is the only way to tell libtorch's errors apart: the stable ABI has no error codes.
ErrorCode torch_error_code(const std::string& message) {
  if (contains_one_of(message, {"out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED",
                                "ALLOCATION_FAILED"}))
    return ErrorCode::ERR_OUT_OF_MEMORY;
  // These errors leave a CUDA context unusable until the process ends.
  if (contains_one_of(
          message, {"illegal memory access", "illegal instruction", "illegal address", "misaligned address",
                    "unspecified launch failure", "device-side assert", "uncorrectable ECC",
                    "uncorrectable NVLink", "hardware stack error", "launch timed out",
                    "invalid program counter", "operation not supported on global/shared address space",
                    "context is destroyed", "CUDA error: unknown error"})) {
    return ErrorCode::ERR_DEVICE_LOST;
  }
  return ErrorCode::ERR_LIBTORCH;
}

void check_torch(int32_t status, const char* what) {
  if (status == AOTI_TORCH_SUCCESS) return;
  std::string message = std::string("libtorch could not run ") + what;
  if (const auto get_what = torch().torch_exception_get_what_without_backtrace) {
    if (const char* detail = get_what(); detail != nullptr && *detail != '\0')
      message += std::string(": ") + detail;
  }
  throw Error(torch_error_code(message), message);
}

TorchTensor::TorchTensor(AtenTensorHandle handle)
    : handle_(handle, [](AtenTensorOpaque* owned) { torch().aoti_torch_delete_tensor_object(owned); }) {}

TorchTensor TorchTensor::view(const Tensor& tensor) {
  const Device device = tensor.device();
  AtenTensorHandle handle = nullptr;
  check_torch(
      torch().torch_from_blob(tensor.data(), tensor.dim(), tensor.shape.data(), tensor.strides.data(), 0,
                              static_cast<int32_t>(tensor.dtype), device_type_of(device),
                              device_index_of(device), &handle, /*layout=*/0, nullptr, 0, nullptr, nullptr),
      "from_blob");
  return TorchTensor(handle);
}

AtenTensorHandle TorchTensor::duplicate() const {
  AtenTensorHandle owned = nullptr;
  check_torch(torch().aoti_torch_new_tensor_handle(get(), &owned), "new_tensor_handle");
  return owned;
}

TorchLayout layout_of(AtenTensorHandle handle) {
  const TorchFunctions& t = torch();
  TorchLayout layout;
  int64_t dim = 0;
  int64_t* sizes = nullptr;
  int64_t* strides = nullptr;
  check_torch(t.aoti_torch_get_dim(handle, &dim), "dim");
  check_torch(t.aoti_torch_get_sizes(handle, &sizes), "sizes");
  check_torch(t.aoti_torch_get_strides(handle, &strides), "strides");
  check_torch(t.aoti_torch_get_dtype(handle, &layout.dtype), "dtype");
  check_torch(t.torch_get_mutable_data_ptr(handle, &layout.data), "data_ptr");
  layout.shape.assign(sizes, sizes + dim);
  layout.strides.assign(strides, strides + dim);
  return layout;
}

Tensor TorchTensor::to_tensor() const {
  const TorchFunctions& t = torch();
  TorchLayout layout = layout_of(get());
  int32_t device_type = 0;
  int32_t device_index = 0;
  check_torch(t.aoti_torch_get_device_type(get(), &device_type), "device");
  check_torch(t.aoti_torch_get_device_index(get(), &device_index), "device");
  Tensor tensor;
  tensor.dtype = static_cast<DType>(layout.dtype);
  tensor.shape = std::move(layout.shape);
  tensor.strides = std::move(layout.strides);
  const auto bytes = static_cast<std::size_t>(extent(tensor.shape, tensor.strides)) * item_size(tensor.dtype);
  tensor.storage = Storage(handle_, layout.data, bytes,
                           device_type == kDeviceTypeCuda ? Device::cuda(device_index) : Device::cpu());
  return tensor;
}

TorchCall& TorchCall::tensor(const TorchTensor& value) {
  stack_.push_back(bits(value.duplicate()));
  return *this;
}

TorchCall& TorchCall::optional_tensor(const TorchTensor* value) {
  if (value == nullptr) return none();
  tensor(*value);
  const StableIValue inner = stack_.back();
  stack_.pop_back();
  push_cell(inner);
  return *this;
}

TorchCall& TorchCall::ints(const Dims& value) {
  stack_.push_back(list(value));
  return *this;
}

TorchCall& TorchCall::optional_ints(const Dims& value) {
  push_cell(list(value));
  return *this;
}

TorchCall& TorchCall::integer(int64_t value) {
  stack_.push_back(bits(value));
  return *this;
}

TorchCall& TorchCall::number(double value) {
  stack_.push_back(bits(value));
  return *this;
}

TorchCall& TorchCall::boolean(bool value) {
  stack_.push_back(bits(value));
  return *this;
}

TorchCall& TorchCall::string(const std::string& value) {
  StringHandle handle = nullptr;
  check_torch(torch().torch_new_string_handle(value.c_str(), value.size(), &handle), op_);
  stack_.push_back(bits(handle));
  return *this;
}

TorchCall& TorchCall::optional_dtype(DType value) {
  push_cell(bits(static_cast<int32_t>(value)));
  return *this;
}

TorchCall& TorchCall::optional_device(Device value) {
  const auto index = static_cast<uint32_t>(device_index_of(value));
  push_cell(static_cast<uint64_t>(device_type_of(value)) << 32 | index);
  return *this;
}

TorchCall& TorchCall::optional_boolean(bool value) {
  push_cell(bits(value));
  return *this;
}

TorchCall& TorchCall::none() {
  stack_.push_back(0);
  return *this;
}

TorchTensor TorchCall::run() {
  adopt_chosen_threads();
  const std::string name = *overload_ == '\0' ? op_ : std::string(op_) + "." + overload_;
  check_torch(torch().torch_call_dispatcher(op_, overload_, stack_.data(), kSchemaVersion), name.c_str());
  AtenTensorHandle result = nullptr;
  std::memcpy(&result, &stack_[0], sizeof(result));
  stack_.clear();
  return TorchTensor(result);
}

StableIValue TorchCall::list(const Dims& value) const {
  StableListHandle handle = nullptr;
  check_torch(torch().torch_new_list_reserve_size(value.size(), &handle), op_);
  for (const int64_t item : value) check_torch(torch().torch_list_push_back(handle, bits(item)), op_);
  return bits(handle);
}

void TorchCall::push_cell(StableIValue value) {
  StableIValue* cell = nullptr;
  // Before 2.13, libtorch frees the cell with plain delete: the headers of those versions allocate it with
  // new.
  if (const auto new_cell = torch().torch_new_stable_ivalue) {
    check_torch(new_cell(&cell), op_);
    *cell = value;
  } else {
    cell = new StableIValue(value);
  }
  stack_.push_back(bits(cell));
}

TorchDeviceGuard::TorchDeviceGuard(Device device) {
  if (device.is_cuda())
    check_torch(torch().aoti_torch_create_device_guard(device.index, &guard_), "set_device");
}

TorchDeviceGuard::~TorchDeviceGuard() {
  if (guard_ != nullptr) torch().aoti_torch_delete_device_guard(guard_);
}

}  // namespace tokenlearner
