#include "kernels/cpu/image-avx2.hpp"

#include <immintrin.h>

namespace tokenlearner::kernels {
namespace {

constexpr std::int64_t kLanes = 8;

/** Loads eight pixels, one into each 32-bit lane. The first colour is in the lowest byte. */
template <int kChannels>
[[gnu::always_inline]] inline __m256i load_pixels(const std::uint8_t* pixels) {
  if constexpr (kChannels == 1) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels)));
  } else if constexpr (kChannels == 2) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels)));
  } else if constexpr (kChannels == 3) {
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels + 12));
    const __m256i spread = _mm256_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1,  //
                                            0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
    return _mm256_shuffle_epi8(_mm256_set_m128i(high, low), spread);
  } else {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pixels));
  }
}

/** The pixels from the first of eight that must exist: three channels are loaded with four bytes too many. */
template <int kChannels>
constexpr std::int64_t kPixelsInReach = kChannels == 3 ? kLanes + 2 : kLanes;

/**
 * a / b by Markstein's method: a quotient from the reciprocal of b, and one correction. The result is that of a
 * division, unless a number in between overflows or is subnormal.
 */
[[gnu::always_inline]] inline __m256 divide(__m256 a, __m256 b, __m256 reciprocal) {
  const __m256 quotient = _mm256_mul_ps(a, reciprocal);
  const __m256 remainder = _mm256_fnmadd_ps(quotient, b, a);
  return _mm256_fmadd_ps(remainder, reciprocal, quotient);
}

template <int kChannels>
std::int64_t convert(const std::uint8_t* pixels, std::int64_t count, const ColorScale* scales, float* out,
                     std::int64_t color_stride) {
  constexpr int kColors = kChannels < 3 ? 1 : 3;
  const __m256 most = _mm256_set1_ps(255.0f);
  const __m256 least = _mm256_set1_ps(1.0f / 255.0f);
  std::int64_t x = 0;
  for (; x + kPixelsInReach<kChannels> <= count; x += kLanes) {
    const __m256i loaded = load_pixels<kChannels>(pixels + x * kChannels);
    for (int c = 0; c < kColors; ++c) {
      const ColorScale& scale = scales[c];
      const __m256i bytes = _mm256_and_si256(_mm256_srli_epi32(loaded, 8 * c), _mm256_set1_epi32(255));
      const __m256 value = divide(_mm256_cvtepi32_ps(bytes), most, least);
      const __m256 centred = _mm256_sub_ps(value, _mm256_set1_ps(scale.mean));
      _mm256_storeu_ps(out + c * color_stride + x,
                       divide(centred, _mm256_set1_ps(scale.std), _mm256_set1_ps(scale.reciprocal)));
    }
  }
  return x;
}

}  // namespace

std::int64_t convert_pixels_avx2(const std::uint8_t* pixels, std::int64_t count, int channels,
                                 const ColorScale* scales, float* out, std::int64_t color_stride) {
  switch (channels) {
    case 1:
      return convert<1>(pixels, count, scales, out, color_stride);
    case 2:
      return convert<2>(pixels, count, scales, out, color_stride);
    case 3:
      return convert<3>(pixels, count, scales, out, color_stride);
    default:
      return convert<4>(pixels, count, scales, out, color_stride);
  }
}

}  // namespace tokenlearner::kernels
