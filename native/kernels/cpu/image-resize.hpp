// Pillow's resize of 8-bit pictures.
#pragma once

#include <cstdint>

#include "kernels/status.hpp"

namespace tokenlearner::kernels {

/** Pillow's filters: BILINEAR and BICUBIC. */
enum class Interpolation { bilinear, bicubic };

/** A part of a picture. */
struct Window {
  std::int64_t top = 0;
  std::int64_t left = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
};

struct ResizeParams {
  /** Rows of `width` pixels without gaps. The first `colors` of the `channels` bytes of a pixel are read. */
  const std::uint8_t* pixels = nullptr;
  std::int64_t height = 0;
  std::int64_t width = 0;
  int channels = 0;
  /** 1 or 3. */
  int colors = 0;
  /** The size of the whole result. */
  std::int64_t resized_height = 0;
  std::int64_t resized_width = 0;
  Interpolation interpolation = Interpolation::bilinear;
  /** The part of the result that is computed. */
  Window window;
  /** Receives window.height * window.width * colors bytes. */
  std::uint8_t* out = nullptr;
};

/**
 * Writes the bytes of Image.resize(size, BILINEAR or BICUBIC) of Pillow, where that result is cropped to the
 * window. Precondition: all sizes are at least 1, and the window lies inside the result.
 */
Status resize(const ResizeParams& params) noexcept;

}  // namespace tokenlearner::kernels
