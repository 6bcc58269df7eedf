// Converts JavaScript values to native/engine's types and back. lib/ has validated all values. Everything
// that could cause a crash is checked again.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "boundary/storage-registry.hpp"
#include "engine/error.hpp"
#include "engine/memory/tensor.hpp"
#include "engine/run/op.hpp"

namespace tokenlearner {

/// A TensorArg of lib/native-interface.ts that was read but is not bound to its memory. Reading may run
/// JavaScript (a getter), and that may move or free memory. Binding runs no JavaScript. So every function
/// reads all its arguments first and binds tensors last.
struct TensorArg {
  /// A typed array, or the number of a storage's handle.
  Napi::Value view;
  int64_t handle = -1;
  DType dtype = DType::float32;
  Dims shape;
  Dims strides;
  int64_t offset = 0;
};

TensorArg read_tensor(Napi::Value value);

/// The tensors of a call from its argument `first` on: FlatTensors of lib/native-interface.ts.
std::vector<TensorArg> read_tensors(const Napi::CallbackInfo& info, std::size_t first);

/// The tensor over the memory as it is now. The memory of a typed array is borrowed: it is valid only until
/// JavaScript runs again.
Tensor bind_tensor(StorageRegistry& storages, TensorArg argument);
std::vector<Tensor> bind_tensors(StorageRegistry& storages, std::vector<TensorArg> arguments);

/// `tensor` itself if it owns its memory. Otherwise a copy of the span that it reaches, with the same
/// strides. With `pinned` the copy is in page-locked memory: for a GPU that copy is needed anyway.
Tensor owned(const Tensor& tensor, bool pinned);

/// Calls `read` for each element of an array and returns the results.
template <typename F>
auto read_each(Napi::Value value, F&& read) {
  if (!value.IsArray()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected an array");
  const auto array = value.As<Napi::Array>();
  const uint32_t length = array.Length();
  std::vector<std::decay_t<decltype(read(value))>> items;
  for (uint32_t i = 0; i < length; ++i) items.push_back(read(array.Get(i)));
  return items;
}

/// The bytes of a typed array. They are borrowed: valid only until JavaScript runs again.
Storage borrow_view(Napi::Env env, Napi::Value view);

/// Sizes or strides: at most 64 non-negative integers.
Dims to_dims(Napi::Value value, const char* what);
DType to_dtype(Napi::Value value);
Device to_device(Napi::Value value);
/// The DeviceCode of lib/native-interface.ts.
int32_t code_of(Device device);
/// A layer's dtype and device. Throws ERR_DTYPE_MISMATCH if `dtype` is not a floating-point type.
Placement to_placement(Napi::Value dtype, Napi::Value device);
/// The named numbers, booleans, strings and arrays of integers in an object's own properties. Empty for
/// undefined.
Config to_config(Napi::Value value);
uint32_t to_index(Napi::Value value, const char* what);

/// An array of values. They are own elements, even if Array.prototype has setters.
Napi::Array from_values(Napi::Env env, const std::vector<napi_value>& values);

/// Makes the NativeTensors of lib/native-interface.ts with functions that lib/ registers. One call is much cheaper
/// than setting each property and each size through Node-API.
class TensorFactory {
 public:
  explicit TensorFactory(StorageRegistry& storages) : storages_(storages) {}

  void set(Napi::Function create_tensor, Napi::Function create_list);

  /// `frozen` is for StorageRegistry::wrap().
  Napi::Value make(Napi::Env env, const Tensor& tensor, bool frozen = false) const;
  /// An array of NativeTensors.
  Napi::Value make_all(Napi::Env env, const std::vector<Tensor>& tensors) const;

 private:
  StorageRegistry& storages_;
  Napi::FunctionReference create_tensor_;
  Napi::FunctionReference create_list_;
};

}  // namespace tokenlearner
