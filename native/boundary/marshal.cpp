#include "boundary/marshal.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/cuda/staging.hpp"
#include "engine/error.hpp"

namespace tokenlearner {

namespace {

constexpr double kMaxSafeInteger = 9007199254740991.0;
// The same limit as in PyTorch.
constexpr uint32_t kMostDimensions = 64;

int64_t to_count(Napi::Value value, const char* what) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1.0;
  if (!(number >= 0 && number <= kMaxSafeInteger) || number != std::floor(number)) {
    throw Error(ErrorCode::ERR_OUT_OF_RANGE,
                std::string("Expected a non-negative integer for `") + what + "`");
  }
  return static_cast<int64_t>(number);
}

/// Throws unless every element of the view is inside its storage and the product of its sizes does not
/// overflow.
void check_bounds(const Tensor& tensor) {
  int64_t last = tensor.offset;
  auto bytes = static_cast<double>(item_size(tensor.dtype));
  bool empty = false;
  bool overflow = tensor.shape.size() != tensor.strides.size();
  for (std::size_t i = 0; !overflow && i < tensor.shape.size(); ++i) {
    int64_t span = 0;
    empty = empty || tensor.shape[i] == 0;
    bytes *= static_cast<double>(tensor.shape[i] > 0 ? tensor.shape[i] : 1);
    overflow =
        __builtin_mul_overflow(tensor.shape[i] > 0 ? tensor.shape[i] - 1 : 0, tensor.strides[i], &span) ||
        __builtin_add_overflow(last, span, &last);
  }
  const auto capacity = static_cast<int64_t>(tensor.storage.bytes() / item_size(tensor.dtype));
  if (overflow || bytes > kMaxSafeInteger || (!empty && last >= capacity)) {
    throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "The tensor reaches beyond its memory");
  }
  if (reinterpret_cast<std::uintptr_t>(tensor.storage.data()) % item_size(tensor.dtype) != 0)
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "The tensor's memory is not aligned to its elements");
}

std::size_t element_size(napi_typedarray_type type) {
  switch (type) {
    case napi_int8_array:
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return 1;
    case napi_int16_array:
    case napi_uint16_array:
      return 2;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      return 4;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      return 8;
    default:
      return 2;  // Float16Array. Node-API's headers have no name for it yet.
  }
}

void set_storage(TensorArg& argument, Napi::Value storage) {
  if (storage.IsTypedArray()) {
    argument.view = storage;
  } else {
    argument.handle = read_handle(storage);
  }
}

/// An own property. Setters of Object.prototype or Array.prototype do not run.
napi_property_descriptor property(const char* name, napi_value value) {
  return {name, nullptr, nullptr, nullptr, nullptr, value, napi_default_jsproperty, nullptr};
}

}  // namespace

Storage borrow_view(Napi::Env env, Napi::Value view) {
  napi_typedarray_type type;
  std::size_t length = 0;
  void* data = nullptr;
  napi_value buffer = nullptr;
  std::size_t offset = 0;
  if (!view.IsTypedArray() ||
      napi_get_typedarray_info(env, view, &type, &length, &data, &buffer, &offset) != napi_ok) {
    throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a typed array");
  }
  if (!Napi::Value(env, buffer).IsArrayBuffer()) {
    throw Error(ErrorCode::ERR_UNSUPPORTED_BUFFER, "The typed array stands on a SharedArrayBuffer");
  }
  // Never beyond the end of the buffer, even if the view's length is wrong.
  const std::size_t capacity = Napi::ArrayBuffer(env, buffer).ByteLength();
  const std::size_t bytes = std::min(length * element_size(type), capacity > offset ? capacity - offset : 0);
  return Storage::borrow(data, bytes);
}

std::vector<TensorArg> read_tensors(const Napi::CallbackInfo& info, std::size_t first) {
  std::vector<TensorArg> tensors;
  std::size_t next = first;
  const auto take = [&] { return info[next++]; };
  while (next < info.Length()) {
    TensorArg argument;
    set_storage(argument, take());
    argument.dtype = to_dtype(take());
    argument.offset = to_count(take(), "offset");
    const int64_t rank = to_count(take(), "rank");
    if (rank > kMostDimensions) throw Error(ErrorCode::ERR_OUT_OF_RANGE, "Expected fewer dimensions");
    for (Dims* const dims : {&argument.shape, &argument.strides}) {
      dims->resize(static_cast<std::size_t>(rank));
      for (int64_t& size : *dims) size = to_count(take(), dims == &argument.shape ? "shape" : "strides");
    }
    tensors.push_back(std::move(argument));
  }
  return tensors;
}

TensorArg read_tensor(Napi::Value value) {
  if (!value.IsObject()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a tensor");
  const auto object = value.As<Napi::Object>();
  TensorArg argument;
  set_storage(argument, object.Get("storage"));
  argument.dtype = to_dtype(object.Get("dtype"));
  argument.shape = to_dims(object.Get("shape"), "shape");
  argument.strides = to_dims(object.Get("strides"), "strides");
  argument.offset = to_count(object.Get("offset"), "offset");
  return argument;
}

Tensor bind_tensor(StorageRegistry& storages, TensorArg argument) {
  Tensor tensor;
  tensor.storage = argument.view.IsEmpty() ? storages.unwrap(argument.handle)
                                           : borrow_view(argument.view.Env(), argument.view);
  tensor.dtype = argument.dtype;
  tensor.shape = std::move(argument.shape);
  tensor.strides = std::move(argument.strides);
  tensor.offset = argument.offset;
  check_bounds(tensor);
  return tensor;
}

std::vector<Tensor> bind_tensors(StorageRegistry& storages, std::vector<TensorArg> arguments) {
  std::vector<Tensor> tensors;
  tensors.reserve(arguments.size());
  for (TensorArg& argument : arguments) tensors.push_back(bind_tensor(storages, std::move(argument)));
  return tensors;
}

Tensor owned(const Tensor& tensor, bool pinned) {
  if (tensor.storage.owner() != nullptr) return tensor;
  const int64_t elements = extent(tensor.shape, tensor.strides);
  const auto bytes = static_cast<std::size_t>(elements) * item_size(tensor.dtype);
  Tensor copy = tensor;
  copy.storage = host_storage(bytes, pinned);
  copy.offset = 0;
  if (bytes > 0) std::memcpy(copy.storage.data(), tensor.data(), bytes);
  return copy;
}

Dims to_dims(Napi::Value value, const char* what) {
  if (!value.IsArray())
    throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, std::string("Expected an array for `") + what + "`");
  const auto array = value.As<Napi::Array>();
  const uint32_t length = array.Length();
  if (length > kMostDimensions)
    throw Error(ErrorCode::ERR_OUT_OF_RANGE, std::string("Expected fewer dimensions for `") + what + "`");
  Dims dims(length);
  for (uint32_t i = 0; i < length; ++i) dims[i] = to_count(array.Get(i), what);
  return dims;
}

DType to_dtype(Napi::Value value) {
  const auto dtype = static_cast<DType>(to_count(value, "dtype"));
  if (item_size(dtype) == 0) throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "There is no dtype of that code");
  return dtype;
}

Device to_device(Napi::Value value) {
  if (!value.IsNumber()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a device code");
  const double code = value.As<Napi::Number>().DoubleValue();
  // The range of libtorch's own device index.
  if (!(code >= -1 && code <= 127) || code != std::floor(code))
    throw Error(ErrorCode::ERR_OUT_OF_RANGE, "There is no device of that code");
  return code < 0 ? Device::cpu() : Device::cuda(static_cast<int32_t>(code));
}

int32_t code_of(Device device) { return device.is_cpu() ? -1 : device.index; }

Placement to_placement(Napi::Value dtype, Napi::Value device) {
  const Placement placement{to_dtype(dtype), to_device(device)};
  if (!is_floating(placement.dtype)) {
    throw Error(
        ErrorCode::ERR_DTYPE_MISMATCH,
        std::string("Expected a floating dtype for a layer but received ") + name_of(placement.dtype));
  }
  return placement;
}

Config to_config(Napi::Value value) {
  Config config;
  if (value.IsUndefined()) return config;
  if (!value.IsObject()) throw Error(ErrorCode::ERR_INVALID_ARG_TYPE, "Expected a configuration");
  const auto object = value.As<Napi::Object>();
  napi_value keys = nullptr;
  NAPI_THROW_IF_FAILED(
      value.Env(),
      napi_get_all_property_names(value.Env(), object, napi_key_own_only,
                                  static_cast<napi_key_filter>(napi_key_enumerable | napi_key_skip_symbols),
                                  napi_key_numbers_to_strings, &keys),
      config);
  const Napi::Array names(value.Env(), keys);
  const uint32_t length = names.Length();
  for (uint32_t i = 0; i < length; ++i) {
    const std::string name = names.Get(i).ToString();
    const Napi::Value item = object.Get(name);
    if (item.IsNumber()) config.add(name, item.As<Napi::Number>().DoubleValue());
    if (item.IsBoolean()) config.add(name, item.As<Napi::Boolean>().Value());
    if (item.IsString()) config.add(name, item.As<Napi::String>().Utf8Value());
    if (item.IsArray()) config.add(name, to_dims(item, name.c_str()));
  }
  return config;
}

uint32_t to_index(Napi::Value value, const char* what) {
  const int64_t index = to_count(value, what);
  if (index > std::numeric_limits<int32_t>::max())
    throw Error(ErrorCode::ERR_OUT_OF_RANGE, std::string("Expected a smaller integer for `") + what + "`");
  return static_cast<uint32_t>(index);
}

Napi::Array from_values(Napi::Env env, const std::vector<napi_value>& values) {
  std::vector<napi_property_descriptor> elements;
  std::vector<std::string> names;
  elements.reserve(values.size());
  names.reserve(values.size());
  for (napi_value value : values) {
    names.push_back(std::to_string(names.size()));
    elements.push_back(property(names.back().c_str(), value));
  }
  auto array = Napi::Array::New(env);
  NAPI_THROW_IF_FAILED(env, napi_define_properties(env, array, elements.size(), elements.data()), array);
  return array;
}

void TensorFactory::set(Napi::Function create_tensor, Napi::Function create_list) {
  create_tensor_ = Napi::Persistent(create_tensor);
  create_list_ = Napi::Persistent(create_list);
}

Napi::Value TensorFactory::make(Napi::Env env, const Tensor& tensor, bool frozen) const {
  const auto number = [env](int64_t n) -> napi_value {
    return Napi::Number::New(env, static_cast<double>(n));
  };
  constexpr std::size_t kNamed = 4;
  const std::size_t rank = tensor.shape.size();
  std::array<napi_value, kNamed + 2 * kMostDimensions> arguments;
  if (rank > kMostDimensions || tensor.strides.size() != rank)
    throw Error(ErrorCode::ERR_OUT_OF_RANGE, "The result has too many dimensions");
  arguments[1] = number(static_cast<int64_t>(tensor.dtype));
  arguments[2] = number(code_of(tensor.device()));
  arguments[3] = number(tensor.offset);
  std::transform(tensor.shape.begin(), tensor.shape.end(), arguments.begin() + kNamed, number);
  const auto strides = arguments.begin() + static_cast<std::ptrdiff_t>(kNamed + rank);
  std::transform(tensor.strides.begin(), tensor.strides.end(), strides, number);
  return storages_.wrap(env, tensor.storage, frozen, [&](Napi::Number id) {
    arguments[0] = id;
    return create_tensor_.Value()
        .Call(env.Undefined(), kNamed + 2 * rank, arguments.data())
        .As<Napi::Object>();
  });
}

Napi::Value TensorFactory::make_all(Napi::Env env, const std::vector<Tensor>& tensors) const {
  std::vector<napi_value> values;
  values.reserve(tensors.size());
  for (const Tensor& tensor : tensors) values.push_back(make(env, tensor));
  return create_list_.Value().Call(env.Undefined(), values);
}

}  // namespace tokenlearner
