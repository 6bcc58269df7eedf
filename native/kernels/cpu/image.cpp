#include "kernels/cpu/image.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

#include "kernels/cpu/image-avx2.hpp"

namespace tokenlearner::kernels {
namespace {

constexpr int kMostColors = 3;

// Note: [Exact elements]
// A byte has 256 values. So the element of each is computed first, with the three rounded operations, and a
// picture is one pass of look-ups, for every dtype. float32 planes are written by vectors instead where there
// are FMA instructions, in half the time. The vectors divide by multiplying, and the corrected result is that of
// a division except for extreme numbers. So they convert each of the 256 bytes first, and are not used if one
// bit differs.

/** The element of every byte, for each colour. */
template <typename T>
struct Elements {
  T of[kMostColors][256];

  Elements(int colors, const Normalization& normalization) {
    for (int c = 0; c < colors; ++c) {
      for (int byte = 0; byte < 256; ++byte) {
        float value = static_cast<float>(byte) / 255.0f;
        if (normalization.mean != nullptr) value = (value - normalization.mean[c]) / normalization.std[c];
        of[c][byte] = narrow<T>(value);
      }
    }
  }
};

/** Writes a row of `width` pixels: colour c of pixel x to out[c * color_stride + x * kPixelStride]. */
template <int kChannels, int kPixelStride, typename T>
void convert_row(const std::uint8_t* __restrict row, std::int64_t width, const Elements<T>& elements,
                 T* __restrict out, std::int64_t color_stride) {
  T* const second = out + color_stride;
  T* const third = second + color_stride;
  for (std::int64_t x = 0; x < width; ++x, row += kChannels) {
    out[x * kPixelStride] = elements.of[0][row[0]];
    if constexpr (kChannels >= 3) {
      second[x * kPixelStride] = elements.of[1][row[1]];
      third[x * kPixelStride] = elements.of[2][row[2]];
    }
  }
}

/** For elements of other types than float32, and other processors than x64. */
struct NoVectors {
  template <typename... Any>
  explicit NoVectors(const Any&...) {}
  template <typename... Any>
  std::int64_t convert(const Any&...) const {
    return 0;
  }
};

#if defined(__x86_64__)
/** The vectors of AVX2, where they give the exact elements. See Note [Exact elements]. */
class Vectors {
 public:
  Vectors(const Elements<float>& elements, int colors, const ImageToTensorParams& params) {
    if (params.isa == Isa::baseline || params.channels_last) return;
    std::uint8_t bytes[256];
    for (int byte = 0; byte < 256; ++byte) bytes[byte] = static_cast<std::uint8_t>(byte);
    float converted[256];
    usable_ = true;
    for (int c = 0; c < colors; ++c) {
      const bool normalized = params.normalization.mean != nullptr;
      const float std = normalized ? params.normalization.std[c] : 1.0f;
      scales_[c] = {normalized ? params.normalization.mean[c] : 0.0f, std, 1.0f / std};
      convert_pixels_avx2(bytes, 256, 1, &scales_[c], converted, 0);
      usable_ = usable_ && std::memcmp(converted, elements.of[c], sizeof(converted)) == 0;
    }
  }

  /** Returns the number of pixels that it converted. */
  std::int64_t convert(const std::uint8_t* pixels, std::int64_t count, int channels, float* out,
                       std::int64_t color_stride) const {
    return usable_ ? convert_pixels_avx2(pixels, count, channels, scales_, out, color_stride) : 0;
  }

 private:
  ColorScale scales_[kMostColors] = {};
  bool usable_ = false;
};
#else
using Vectors = NoVectors;
#endif

template <typename T, int kChannels>
void convert(const ImageToTensorParams& params) {
  constexpr int kColors = kChannels < 3 ? 1 : 3;
  const Elements<T> elements(kColors, params.normalization);
  const std::conditional_t<std::is_same_v<T, float>, Vectors, NoVectors> vectors(elements, kColors, params);
  const Window& window = params.window;
  const std::int64_t plane = window.height * window.width;
  // Rows that follow each other without a gap are one long row.
  const bool joined = window.width == params.picture.width;
  const std::int64_t rows = joined ? 1 : window.height;
  const std::int64_t width = joined ? plane : window.width;
  for (std::int64_t y = 0; y < rows; ++y) {
    const std::uint8_t* row =
        params.picture.pixels + ((window.top + y) * params.picture.width + window.left) * kChannels;
    T* const out = static_cast<T*>(params.out) + y * width * (params.channels_last ? kColors : 1);
    if (params.channels_last) {
      convert_row<kChannels, kColors>(row, width, elements, out, 1);
    } else {
      const std::int64_t done = vectors.convert(row, width, kChannels, out, plane);
      convert_row<kChannels, 1>(row + done * kChannels, width - done, elements, out + done, plane);
    }
  }
}

template <typename T>
void convert(const ImageToTensorParams& params) {
  switch (params.picture.channels) {
    case 1:
      return convert<T, 1>(params);
    case 2:
      return convert<T, 2>(params);
    case 3:
      return convert<T, 3>(params);
    default:
      return convert<T, 4>(params);
  }
}

void convert_to_dtype(const ImageToTensorParams& params) {
  switch (params.dtype) {
    case DType::float16:
      return convert<Half>(params);
    case DType::bfloat16:
      return convert<BFloat16>(params);
    case DType::float64:
      return convert<double>(params);
    default:
      return convert<float>(params);
  }
}

bool is_valid(const Normalization& normalization) {
  return (normalization.mean == nullptr) == (normalization.std == nullptr);
}

bool is_valid(const ImageToTensorParams& params) {
  const auto& [pixels, height, width, channels] = params.picture;
  const Window& window = params.window;
  return pixels != nullptr && params.out != nullptr && height >= 1 && width >= 1 && channels >= 1 &&
         channels <= 4 && is_floating(params.dtype) && is_valid(params.normalization) && window.height >= 1 &&
         window.width >= 1 && window.top >= 0 && window.left >= 0 &&
         window.height <= params.resized_height - window.top &&
         window.width <= params.resized_width - window.left;
}

bool is_valid(const TensorToImageParams& params) {
  return params.x != nullptr && params.pixels != nullptr && (params.colors == 1 || params.colors == 3) &&
         params.height >= 1 && params.width >= 1 && is_floating(params.dtype) &&
         is_valid(params.normalization);
}

/** Returns the bytes of the window as a picture of their own, in `bytes`. */
Status resized(const ImageToTensorParams& params, std::unique_ptr<std::uint8_t[]>& bytes) {
  const Picture& picture = params.picture;
  const int colors = picture.colors();
  bytes.reset(
      new (std::nothrow)
          std::uint8_t[static_cast<std::size_t>(params.window.height * params.window.width * colors)]);
  if (bytes == nullptr) return Status::out_of_memory;
  return resize({.pixels = picture.pixels,
                 .height = picture.height,
                 .width = picture.width,
                 .channels = picture.channels,
                 .colors = colors,
                 .resized_height = params.resized_height,
                 .resized_width = params.resized_width,
                 .interpolation = params.interpolation,
                 .window = params.window,
                 .out = bytes.get()});
}

/** False if an element is NaN. */
template <typename T>
bool write_color(const TensorToImageParams& params, int color) {
  const T* const plane = static_cast<const T*>(params.x) + color * params.color_stride;
  const bool normalized = params.normalization.mean != nullptr;
  const float mean = normalized ? params.normalization.mean[color] : 0.0f;
  const float std = normalized ? params.normalization.std[color] : 1.0f;
  std::uint8_t* out = params.pixels + color;
  bool is_number = true;
  for (std::int64_t y = 0; y < params.height; ++y) {
    const T* x = plane + y * params.row_stride;
    for (std::int64_t i = 0; i < params.width; ++i, x += params.pixel_stride, out += params.colors) {
      const auto value = static_cast<float>(widen(*x));
      is_number = is_number && !std::isnan(value);
      const float scaled = (normalized ? value * std + mean : value) * 255.0f + 0.5f;
      // In this order NaN becomes 0: its conversion would be undefined.
      *out = static_cast<std::uint8_t>(std::min(std::max(0.0f, scaled), 255.0f));
    }
  }
  return is_number;
}

template <typename T>
Status write_bytes(const TensorToImageParams& params) {
  bool is_number = true;
  for (int color = 0; color < params.colors; ++color) is_number = write_color<T>(params, color) && is_number;
  return is_number ? Status::ok : Status::unsupported;
}

}  // namespace

Status image_to_tensor(const ImageToTensorParams& params) noexcept {
  if (!is_valid(params)) return Status::invalid_argument;
  const Picture& picture = params.picture;
  if (params.resized_height == picture.height && params.resized_width == picture.width) {
    convert_to_dtype(params);
    return Status::ok;
  }
  std::unique_ptr<std::uint8_t[]> bytes;
  const Status status = resized(params, bytes);
  if (status != Status::ok) return status;
  const Window& window = params.window;
  ImageToTensorParams rest = params;
  rest.picture = {bytes.get(), window.height, window.width, picture.colors()};
  rest.window = {0, 0, window.height, window.width};
  convert_to_dtype(rest);
  return Status::ok;
}

Status tensor_to_image(const TensorToImageParams& params) noexcept {
  if (!is_valid(params)) return Status::invalid_argument;
  switch (params.dtype) {
    case DType::float16:
      return write_bytes<Half>(params);
    case DType::bfloat16:
      return write_bytes<BFloat16>(params);
    case DType::float64:
      return write_bytes<double>(params);
    default:
      return write_bytes<float>(params);
  }
}

}  // namespace tokenlearner::kernels
