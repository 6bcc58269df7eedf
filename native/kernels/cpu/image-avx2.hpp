// The pixels of a picture to float32, eight at a time.
#pragma once

#include <cstdint>

namespace tokenlearner::kernels {

/** The numbers of one colour: an element is (byte / 255 - mean) / std. */
struct ColorScale {
  float mean;
  float std;
  /** 1 / std, rounded to float32. */
  float reciprocal;
};

/**
 * Converts `count` pixels of `channels` bytes (1 to 4), except some of the last: writes colour c of pixel x to
 * out[c * color_stride + x]. Returns the number of pixels that it converted. Needs AVX2 and FMA.
 */
std::int64_t convert_pixels_avx2(const std::uint8_t* pixels, std::int64_t count, int channels,
                                 const ColorScale* scales, float* out, std::int64_t color_stride);

}  // namespace tokenlearner::kernels
