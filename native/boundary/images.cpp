// Addon methods on pictures.

#include <cstring>
#include <utility>

#include "boundary/addon.hpp"
#include "boundary/marshal.hpp"
#include "engine/image/image-op.hpp"

namespace tokenlearner {

namespace {

constexpr double kMostPixels = 1e14;

ImageGeometry to_geometry(Napi::Value value) {
  const auto sizes = read_each(value, [](Napi::Value size) { return to_index(size, "geometry"); });
  if (sizes.size() != 4) throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected four sizes for a picture");
  return {sizes[0], sizes[1], sizes[2], sizes[3]};
}

/// Copies the numbers of a Float32Array.
std::vector<float> to_floats(Napi::Env env, Napi::Value view) {
  const Storage storage = borrow_view(env, view);
  std::vector<float> numbers(storage.bytes() / sizeof(float));
  if (!numbers.empty()) std::memcpy(numbers.data(), storage.data(), numbers.size() * sizeof(float));
  return numbers;
}

ImageSettings to_settings(Napi::Env env, Napi::Value geometries, Napi::Value normalization,
                          Napi::Value format) {
  ImageSettings settings;
  settings.geometries = read_each(geometries, to_geometry);
  const Config config = to_config(format);
  settings.dtype = static_cast<DType>(config.integer("dtype"));
  settings.height = config.integer("height");
  settings.width = config.integer("width");
  settings.channels_last = config.boolean("channelsLast");
  if (config.boolean("bicubic")) settings.interpolation = kernels::Interpolation::bicubic;
  if (!is_floating(settings.dtype) || settings.height < 1 || settings.width < 1)
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE, "Expected a floating dtype and a size of at least 1");
  // With this limit no product of sizes overflows.
  if (static_cast<double>(settings.height) * static_cast<double>(settings.width) *
          static_cast<double>(settings.geometries.size()) >
      kMostPixels)
    throw Error(ErrorCode::ERR_OUT_OF_RANGE, "Expected fewer pixels");
  settings.normalization = to_floats(env, normalization);
  return settings;
}

}  // namespace

Napi::Value Addon::images_to_tensor(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    std::vector<TensorArg> pictures = read_each(info[0], read_tensor);
    auto op = std::make_shared<const ImageOp>(to_settings(env, info[1], info[2], info[3]));
    CallOptions options = options_for(*op, pictures, env.Undefined());
    return submit(env, std::move(op), std::move(pictures), std::move(options), {});
  });
}

Napi::Value Addon::images_to_tensor_sync(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    std::vector<TensorArg> pictures = read_each(info[0], read_tensor);
    const ImageOp op(to_settings(env, info[1], info[2], info[3]));
    CallOptions options = options_for(op, pictures, env.Undefined());
    return run_now(env, op, std::move(pictures), std::move(options));
  });
}

Napi::Value Addon::tensor_to_image(const Napi::CallbackInfo& info) {
  return guarded(info, [&](Napi::Env env) {
    TensorArg argument = read_tensor(info[0]);
    const std::vector<float> normalization = to_floats(env, info[1]);
    const Tensor tensor = bind_tensor(storages_, std::move(argument));
    write_image(tensor, normalization, borrow_view(env, info[2]));
    return env.Undefined();
  });
}

}  // namespace tokenlearner
