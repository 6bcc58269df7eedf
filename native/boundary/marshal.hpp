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

/// A TensorArg of lib/native-interface.ts. Memory of a typed array is borrowed: good for this synchronous
/// call only.
Tensor to_tensor(const StorageRegistry& storages, Napi::Value value);

/// Every element of an array of TensorArgs.
std::vector<Tensor> to_tensors(const StorageRegistry& storages, Napi::Value value);

/// `tensor` itself where it owns its memory, else a copy of the span it reaches, with the same strides; in
/// page-locked memory for a GPU, which needs that copy anyway.
Tensor owned(const Tensor& tensor, bool pinned);

DType to_dtype(Napi::Value value);
Device to_device(Napi::Value value);
RunOptions to_run_options(Napi::Value value);
OpConfig to_config(Napi::Value value);

/// A NativeTensor of lib/native-interface.ts.
Napi::Value from_tensor(Napi::Env env, StorageRegistry& storages, const Tensor& tensor);
Napi::Array from_tensors(Napi::Env env, StorageRegistry& storages, const std::vector<Tensor>& tensors);

}  // namespace tokenlearner
