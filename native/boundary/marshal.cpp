#include "boundary/marshal.hpp"

#include <cmath>
#include <cstring>

#include "engine/error.hpp"
#include "engine/staging.hpp"

namespace tokenlearner {

namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;

int64_t to_count(Napi::Value value, const char* what) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1.0;
  if (!(number >= 0 && number <= kMaxSafeInteger) || number != std::floor(number)) {
    throw Error(ErrorCode::ERR_OUT_OF_RANGE,
                std::string("Expected a non-negative integer for `") + what + "`");
  }
  return static_cast<int64_t>(number);
}

Dims to_dims(Napi::Value value, const char* what) {
  if (!value.IsArray())
    throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, std::string("Expected an array for `") + what + "`");
  const auto array = value.As<Napi::Array>();
  Dims dims(array.Length());
  for (uint32_t i = 0; i < dims.size(); ++i) dims[i] = to_count(array.Get(i), what);
  return dims;
}

/// The memory of a typed array, from its first element on.
Storage borrow_view(Napi::Env env, Napi::Value view) {
  napi_typedarray_type type;
  std::size_t length = 0;
  void* data = nullptr;
  napi_value buffer = nullptr;
  std::size_t offset = 0;
  if (napi_get_typedarray_info(env, view, &type, &length, &data, &buffer, &offset) != napi_ok) {
    throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a typed array");
  }
  if (!Napi::Value(env, buffer).IsArrayBuffer()) {
    throw Error(ErrorCode::ERR_UNSUPPORTED_BUFFER, "The typed array stands on a SharedArrayBuffer");
  }
  // From the buffer's own size, and not from the view's properties, which JavaScript can override.
  const std::size_t capacity = Napi::ArrayBuffer(env, buffer).ByteLength();
  return Storage::borrow(data, capacity > offset ? capacity - offset : 0);
}

/// Throws unless all that the view reaches lies inside its storage.
void check_bounds(const Tensor& tensor) {
  int64_t last = tensor.offset;
  bool empty = false;
  bool overflow = tensor.shape.size() != tensor.strides.size();
  for (std::size_t i = 0; !overflow && i < tensor.shape.size(); ++i) {
    int64_t span = 0;
    empty = empty || tensor.shape[i] == 0;
    overflow =
        __builtin_mul_overflow(tensor.shape[i] > 0 ? tensor.shape[i] - 1 : 0, tensor.strides[i], &span) ||
        __builtin_add_overflow(last, span, &last);
  }
  const auto capacity = static_cast<int64_t>(tensor.storage.bytes() / item_size(tensor.dtype));
  if (overflow || (!empty && last >= capacity)) {
    throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "The tensor reaches beyond its memory");
  }
}

}  // namespace

Tensor to_tensor(const StorageRegistry& storages, Napi::Value value) {
  if (!value.IsObject()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a tensor");
  const auto object = value.As<Napi::Object>();
  const Napi::Value storage = object.Get("storage");
  Tensor tensor;
  tensor.dtype = to_dtype(object.Get("dtype"));
  tensor.shape = to_dims(object.Get("shape"), "shape");
  tensor.strides = to_dims(object.Get("strides"), "strides");
  tensor.offset = to_count(object.Get("offset"), "offset");
  tensor.storage = storage.IsTypedArray() ? borrow_view(value.Env(), storage) : storages.unwrap(storage);
  check_bounds(tensor);
  return tensor;
}

std::vector<Tensor> to_tensors(const StorageRegistry& storages, Napi::Value value) {
  if (!value.IsArray()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected an array of tensors");
  const auto array = value.As<Napi::Array>();
  std::vector<Tensor> tensors;
  tensors.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) tensors.push_back(to_tensor(storages, array.Get(i)));
  return tensors;
}

Tensor owned(const Tensor& tensor, bool pinned) {
  if (tensor.storage.owner() != nullptr) return tensor;
  const int64_t elements = extent(tensor.shape, tensor.strides);
  const auto bytes = static_cast<std::size_t>(elements) * item_size(tensor.dtype);
  Tensor copy = tensor;
  copy.storage = pinned ? empty_pinned({elements}, tensor.dtype).storage : Storage::allocate(bytes, false);
  copy.offset = 0;
  if (bytes > 0) std::memcpy(copy.storage.data(), tensor.data(), bytes);
  return copy;
}

DType to_dtype(Napi::Value value) {
  const auto dtype = static_cast<DType>(to_count(value, "dtype"));
  if (item_size(dtype) == 0) throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "There is no dtype of that code");
  return dtype;
}

Device to_device(Napi::Value value) {
  if (!value.IsNumber()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a device code");
  return Device{value.As<Napi::Number>().Int32Value()};
}

RunOptions to_run_options(Napi::Value value) {
  if (!value.IsObject()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected forward's options");
  const auto object = value.As<Napi::Object>();
  return {.return_attention = object.Get("returnAttention").ToBoolean(),
          .tokens_first = object.Get("tokensFirst").ToBoolean()};
}

OpConfig to_config(Napi::Value value) {
  if (!value.IsObject()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a layer's configuration");
  const auto object = value.As<Napi::Object>();
  const Napi::Array names = object.GetPropertyNames();
  OpConfig config;
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = names.Get(i).ToString();
    const Napi::Value item = object.Get(name);
    if (item.IsNumber()) config.set(name, item.As<Napi::Number>().DoubleValue());
    if (item.IsBoolean()) config.set(name, item.As<Napi::Boolean>().Value());
    if (item.IsString()) config.set(name, item.As<Napi::String>().Utf8Value());
  }
  return config;
}

Napi::Value from_tensor(Napi::Env env, StorageRegistry& storages, const Tensor& tensor) {
  const auto to_array = [env](const Dims& dims) {
    auto array = Napi::Array::New(env, dims.size());
    for (uint32_t i = 0; i < dims.size(); ++i) array.Set(i, static_cast<double>(dims[i]));
    return array;
  };
  auto object = Napi::Object::New(env);
  object.Set("storage", storages.wrap(env, tensor.storage));
  object.Set("dtype", static_cast<int32_t>(tensor.dtype));
  object.Set("device", tensor.device().code);
  object.Set("shape", to_array(tensor.shape));
  object.Set("strides", to_array(tensor.strides));
  object.Set("offset", static_cast<double>(tensor.offset));
  return object;
}

Napi::Array from_tensors(Napi::Env env, StorageRegistry& storages, const std::vector<Tensor>& tensors) {
  auto array = Napi::Array::New(env, tensors.size());
  for (uint32_t i = 0; i < tensors.size(); ++i) array.Set(i, from_tensor(env, storages, tensors[i]));
  return array;
}

}  // namespace tokenlearner
