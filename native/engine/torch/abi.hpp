// libtorch through its stable C ABI. This is the only header of this project that includes torch's headers.
//
// Note: [One addon, many libtorch]
// The addon never links libtorch. load_torch() opens libtorch_cpu by absolute path and looks up each function
// of the C shim by name. The shim's headers are used only for the functions' types. So one binary loads
// without libtorch (import is cheap, and a missing libtorch is an error with a remedy), runs on every
// libtorch from TORCH_TARGET_VERSION on, and needs no LD_LIBRARY_PATH. Functions that only newer
// builds or CUDA builds have are also looked up and may be null.
//
// Note: [Stable values]
// torch_call_dispatcher takes a stack of 64-bit StableIValues. The callee owns the arguments: a tensor
// argument is a new handle, a list is a new list, an optional is a heap cell. The results replace the
// arguments, from stack[0] on. We own the results.
#pragma once

#define USE_CUDA 1  // Declares the CUDA part of the shim. It needs no CUDA headers.
// With NDEBUG the header declares glibc's __assert_fail, which musl declares differently.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <torch/csrc/stable/c/shim.h>
#pragma pop_macro("NDEBUG")
#include <cassert>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/error.hpp"
#include "engine/memory/tensor.hpp"

namespace tokenlearner {

// X(function): the functions that every supported libtorch exports.
#define TOKENLEARNER_TORCH_FUNCTIONS(X) \
  X(torch_call_dispatcher)              \
  X(torch_from_blob)                    \
  X(torch_get_mutable_data_ptr)         \
  X(torch_get_num_threads)              \
  X(torch_new_list_reserve_size)        \
  X(torch_list_push_back)               \
  X(torch_new_string_handle)            \
  X(aoti_torch_abi_version)             \
  X(aoti_torch_create_device_guard)     \
  X(aoti_torch_delete_device_guard)     \
  X(aoti_torch_delete_tensor_object)    \
  X(aoti_torch_new_tensor_handle)       \
  X(aoti_torch_get_device_index)        \
  X(aoti_torch_get_device_type)         \
  X(aoti_torch_get_dim)                 \
  X(aoti_torch_get_dtype)               \
  X(aoti_torch_get_sizes)               \
  X(aoti_torch_get_strides)

/// The layout of a tensor of libtorch.
struct TorchLayout {
  Dims shape;
  Dims strides;
  int32_t dtype = 0;
  void* data = nullptr;
};

/// The functions of one loaded libtorch.
struct TorchFunctions {
#define TOKENLEARNER_DECLARE(name) decltype(&::name) name = nullptr;
  TOKENLEARNER_TORCH_FUNCTIONS(TOKENLEARNER_DECLARE)
#undef TOKENLEARNER_DECLARE
  // From libtorch_cuda: null until load_torch_cuda() in library.hpp.
  decltype(&::torch_get_cuda_stream_from_pool) torch_get_cuda_stream_from_pool = nullptr;
  decltype(&::torch_set_current_cuda_stream) torch_set_current_cuda_stream = nullptr;
  decltype(&::torch_cuda_stream_synchronize) torch_cuda_stream_synchronize = nullptr;
  decltype(&::aoti_torch_get_current_cuda_stream) aoti_torch_get_current_cuda_stream = nullptr;
  // at::set_num_threads. The stable ABI has no such function.
  void (*set_num_threads)(int) = nullptr;
  // Of OpenMP and MKL in libtorch's build: the number of threads of the calling thread's operators. May be null.
  void (*omp_set_num_threads)(int) = nullptr;
  int (*omp_get_max_threads)() = nullptr;
  int (*mkl_set_num_threads_local)(int) = nullptr;
  // Since 2.13.
  int32_t (*torch_new_stable_ivalue)(StableIValue** ret_value) = nullptr;
  const char* (*torch_exception_get_what_without_backtrace)() = nullptr;
};

/// The functions of the loaded libtorch. Throws ERR_LIBTORCH_NOT_FOUND before load_torch() in library.hpp has
/// succeeded.
const TorchFunctions& torch();

/// The code for a message of libtorch: ERR_OUT_OF_MEMORY, ERR_DEVICE_LOST or ERR_LIBTORCH.
ErrorCode torch_error_code(const std::string& message);

/// Throws ERR_LIBTORCH, ERR_OUT_OF_MEMORY or ERR_DEVICE_LOST if a shim call failed, with libtorch's message
/// if there is one.
void check_torch(int32_t status, const char* what);

/// Throws as check_torch() does.
TorchLayout layout_of(AtenTensorHandle handle);

/// Owns a libtorch tensor handle.
class TorchTensor {
 public:
  TorchTensor() = default;
  /// Takes the ownership of the handle.
  explicit TorchTensor(AtenTensorHandle handle);
  /// A view of `tensor`'s memory, without a copy. It must not outlive the tensor's storage.
  static TorchTensor view(const Tensor& tensor);

  AtenTensorHandle get() const { return handle_.get(); }
  /// A new handle of the same tensor, which the caller owns.
  AtenTensorHandle duplicate() const;
  /// The same memory as a Tensor. The Tensor keeps this handle alive.
  Tensor to_tensor() const;

 private:
  std::shared_ptr<AtenTensorOpaque> handle_;
};

/// Builds the argument stack of one operator call, in the order of the operator's schema.
class TorchCall {
 public:
  /// `op` and `overload` as in native_functions.yaml, for example "aten::mean" and "dim".
  TorchCall(const char* op, const char* overload) : op_(op), overload_(overload) {}

  TorchCall& tensor(const TorchTensor& value);
  TorchCall& optional_tensor(const TorchTensor* value);
  TorchCall& ints(const Dims& value);
  TorchCall& optional_ints(const Dims& value);
  TorchCall& integer(int64_t value);
  TorchCall& number(double value);
  TorchCall& boolean(bool value);
  TorchCall& string(const std::string& value);
  TorchCall& optional_dtype(DType value);
  TorchCall& optional_device(Device value);
  TorchCall& optional_boolean(bool value);
  TorchCall& none();

  /// Runs the operator and returns its only result, a tensor.
  TorchTensor run();

 private:
  StableIValue list(const Dims& value) const;
  void push_cell(StableIValue value);

  const char* op_;
  const char* overload_;
  std::vector<StableIValue> stack_;
};

/// Makes a CUDA device the current device of this thread until the guard is destroyed. Does nothing for the
/// CPU.
class TorchDeviceGuard {
 public:
  explicit TorchDeviceGuard(Device device);
  ~TorchDeviceGuard();
  TorchDeviceGuard(const TorchDeviceGuard&) = delete;
  TorchDeviceGuard& operator=(const TorchDeviceGuard&) = delete;

 private:
  DeviceGuardHandle guard_ = nullptr;
};

}  // namespace tokenlearner
