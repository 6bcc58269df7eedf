// Pictures to tensors and back, on the CPU: torchvision's Resize, CenterCrop, ToTensor and Normalize.
#pragma once

#include <cstdint>

#include "kernels/cpu/image-resize.hpp"
#include "kernels/cpu/isa.hpp"
#include "kernels/dtype.hpp"
#include "kernels/status.hpp"

namespace tokenlearner::kernels {

/** The mean and the standard deviation of each colour. Both are null if nothing is normalised. */
struct Normalization {
  const float* mean = nullptr;
  const float* std = nullptr;
};

/** The bytes of a picture, row by row, without gaps. */
struct Picture {
  const std::uint8_t* pixels = nullptr;
  std::int64_t height = 0;
  std::int64_t width = 0;
  /** The bytes of a pixel: 1 is grey, 2 is grey and alpha, 3 is RGB, 4 is RGB and alpha. */
  int channels = 0;

  /** The channels without alpha: 1 or 3. */
  constexpr int colors() const { return channels < 3 ? 1 : 3; }
};

struct ImageToTensorParams {
  Picture picture;
  /** The size that the picture is resized to. It is not resized if this is its own size. */
  std::int64_t resized_height = 0;
  std::int64_t resized_width = 0;
  Interpolation interpolation = Interpolation::bilinear;
  /** The part of the resized picture that becomes the tensor. */
  Window window;
  Normalization normalization;
  /** A floating-point type. */
  DType dtype = DType::float32;
  /** True for (height, width, colors), false for (colors, height, width). */
  bool channels_last = false;
  /** Precondition: is_available(isa). The numbers are the same for all. */
  Isa isa = Isa::baseline;
  /** Receives window.height * window.width * colors elements. */
  void* out = nullptr;
};

/**
 * Drops alpha, resizes, crops, and writes each byte b as b / 255, or as (b / 255 - mean) / std. Each of these
 * operations is rounded to float32. The result is then converted to `dtype`. Answers out_of_memory if there
 * is no memory for the resize.
 */
Status image_to_tensor(const ImageToTensorParams& params) noexcept;

struct TensorToImageParams {
  const void* x = nullptr;
  /** A floating-point type. */
  DType dtype = DType::float32;
  /** 1 or 3. */
  int colors = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  /** In elements. */
  std::int64_t color_stride = 0;
  std::int64_t row_stride = 0;
  std::int64_t pixel_stride = 0;
  Normalization normalization;
  /** Receives height * width * colors bytes. */
  std::uint8_t* pixels = nullptr;
};

/**
 * Converts each element to float32, computes v = x * std + mean if there is a normalisation, and writes
 * v * 255 + 0.5, clamped to 0 ... 255 and truncated. Each operation is rounded to float32. Answers unsupported if
 * an element is NaN.
 */
Status tensor_to_image(const TensorToImageParams& params) noexcept;

}  // namespace tokenlearner::kernels
