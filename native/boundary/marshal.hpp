// JavaScript values to engine values and back. Everything arrives validated by lib/; what could crash is
// checked again.
#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "boundary/storage-registry.hpp"
#include "engine/op-factory.hpp"
#include "engine/op.hpp"
#include "engine/tensor.hpp"

namespace tokenlearner {

/// A TensorArg of lib/native-interface.ts, read but not bound to its memory. Reading may run JavaScript (a
/// getter), which may move or free memory; binding runs none. So every function reads all its arguments
/// first and binds tensors last.
struct TensorArg {
  Napi::Value storage;
  DType dtype = DType::kFloat32;
  Dims shape;
  Dims strides;
  int64_t offset = 0;
};

TensorArg read_tensor(Napi::Value value);
/// Every element of an array of TensorArgs.
std::vector<TensorArg> read_tensors(Napi::Value value);

/// The tensor over the memory as it is now. Memory of a typed array is borrowed: good for as long as no
/// JavaScript runs.
Tensor bind_tensor(const StorageRegistry& storages, TensorArg argument);
std::vector<Tensor> bind_tensors(const StorageRegistry& storages, std::vector<TensorArg> arguments);

/// `tensor` itself where it owns its memory, else a copy of the span it reaches, with the same strides; in
/// page-locked memory for a GPU, which needs that copy anyway.
Tensor owned(const Tensor& tensor, bool pinned);

/// The bytes of a typed array, borrowed: good for as long as no JavaScript runs.
Storage borrow_view(Napi::Env env, Napi::Value view);

DType to_dtype(Napi::Value value);
Device to_device(Napi::Value value);
/// Where a layer is to be. Throws ERR_DTYPE_MISMATCH where `dtype` is not a floating one.
Placement to_placement(Napi::Value dtype, Napi::Value device);
RunOptions to_run_options(Napi::Value value);
OpConfig to_config(Napi::Value value);

/// An array of values, of own elements whatever setters Array.prototype has.
Napi::Array from_values(Napi::Env env, const std::vector<napi_value>& values);

/// A NativeTensor of lib/native-interface.ts.
Napi::Value from_tensor(Napi::Env env, StorageRegistry& storages, const Tensor& tensor);
Napi::Array from_tensors(Napi::Env env, StorageRegistry& storages, const std::vector<Tensor>& tensors);

}  // namespace tokenlearner
