// The picture kernels against plain loops over the same formulas, and their guards. The numbers of Pillow and
// torchvision are in test/lib/tensor/image.test.ts.

#include "kernels/cpu/image.hpp"

#include <doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/image-avx2.hpp"

using namespace tokenlearner::kernels;

namespace {

constexpr float kMean[] = {0.485f, 0.456f, 0.406f};
constexpr float kStd[] = {0.229f, 0.224f, 0.225f};

std::vector<std::uint8_t> noise(std::size_t count) {
  std::mt19937 random(static_cast<unsigned>(count));
  std::vector<std::uint8_t> bytes(count);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

/** The element of a byte. `volatile` keeps the compiler from joining the operations. */
float element(std::uint8_t byte, int color, const Normalization& normalization) {
  volatile float value = static_cast<float>(byte);
  value = value / 255.0f;
  if (normalization.mean == nullptr) return value;
  value = value - normalization.mean[color];
  value = value / normalization.std[color];
  return value;
}

ImageToTensorParams whole(const Picture& picture) {
  ImageToTensorParams params;
  params.picture = picture;
  params.resized_height = picture.height;
  params.resized_width = picture.width;
  params.window = {0, 0, picture.height, picture.width};
  return params;
}

/** True if the bits are equal: -0 differs from 0, and a NaN equals itself. */
template <typename T>
bool same_bits(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

/** Converts part of a noisy picture and compares each element with element(). */
void check_part_on(Isa isa, int channels, std::int64_t height, std::int64_t width, const Window& window,
                   const Normalization& normalization, bool channels_last) {
  const auto pixels = noise(static_cast<std::size_t>(height * width * channels));
  ImageToTensorParams params = whole({pixels.data(), height, width, channels});
  const int colors = params.picture.colors();
  const std::int64_t plane = window.height * window.width;
  // One element more: the kernel must not write it.
  std::vector<float> out(static_cast<std::size_t>(plane * colors + 1), 99.0f);
  params.window = window;
  params.normalization = normalization;
  params.channels_last = channels_last;
  params.isa = isa;
  params.out = out.data();
  REQUIRE(image_to_tensor(params) == Status::ok);
  CHECK(out.back() == 99.0f);
  int wrong = 0;
  for (std::int64_t y = 0; y < window.height; ++y)
    for (std::int64_t x = 0; x < window.width; ++x)
      for (int c = 0; c < colors; ++c) {
        const std::int64_t pixel = (window.top + y) * width + window.left + x;
        const float expected =
            element(pixels[static_cast<std::size_t>(pixel * channels + c)], c, normalization);
        const std::int64_t at =
            channels_last ? (y * window.width + x) * colors + c : c * plane + y * window.width + x;
        wrong += same_bits(out[static_cast<std::size_t>(at)], expected) ? 0 : 1;
      }
  CHECK(wrong == 0);
}

void check_part(int channels, std::int64_t height, std::int64_t width, const Window& window,
                const Normalization& normalization, bool channels_last) {
  for (const Isa isa : available_isas()) {
    INFO("instruction set ", std::string(name_of(isa)));
    check_part_on(isa, channels, height, width, window, normalization, channels_last);
  }
}

std::vector<std::uint8_t> resized(const Picture& picture, std::int64_t height, std::int64_t width,
                                  const Window& window, Interpolation interpolation) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(window.height * window.width * picture.colors()));
  const Status status = resize({.pixels = picture.pixels,
                                .height = picture.height,
                                .width = picture.width,
                                .channels = picture.channels,
                                .colors = picture.colors(),
                                .resized_height = height,
                                .resized_width = width,
                                .interpolation = interpolation,
                                .window = window,
                                .out = out.data()});
  REQUIRE(status == Status::ok);
  return out;
}

}  // namespace

TEST_SUITE_BEGIN("kernels/image");

TEST_CASE("every width, channel count and layout has the exact elements") {
  for (int channels = 1; channels <= 4; ++channels)
    for (const bool channels_last : {false, true})
      for (std::int64_t width = 1; width <= 70; ++width) {
        INFO("channels ", channels, ", width ", width, ", channels last ", channels_last);
        check_part(channels, 2, width, {0, 0, 2, width}, {kMean, kStd}, channels_last);
      }
}

TEST_CASE("without normalisation an element is byte / 255") {
  for (int channels = 1; channels <= 4; ++channels) check_part(channels, 40, 50, {0, 0, 40, 50}, {}, false);
}

TEST_CASE("a part of the picture") {
  for (int channels = 1; channels <= 4; ++channels)
    check_part(channels, 33, 47, {3, 5, 29, 41}, {kMean, kStd}, false);
}

TEST_CASE("every mean and standard deviation has the exact elements") {
  std::mt19937 random(5);
  std::uniform_real_distribution<float> exponent(-140.0f, 120.0f);
  for (int i = 0; i < 300; ++i) {
    // Also subnormal numbers, and numbers whose reciprocal is not finite.
    const float std[] = {std::exp2(exponent(random)), -std::exp2(exponent(random)), 0.1f};
    const float mean[] = {0.3f, std::exp2(exponent(random)), -std::exp2(exponent(random))};
    INFO("std ", std[0], ", ", std[1], ", mean ", mean[1], ", ", mean[2]);
    check_part(3, 24, 32, {0, 0, 24, 32}, {mean, std}, false);
  }
}

#if defined(__x86_64__)
TEST_CASE("the vectors alone have the exact elements, up to the last few pixels") {
  if (!is_available(Isa::avx2)) return;
  const ColorScale scales[] = {{kMean[0], kStd[0], 1.0f / kStd[0]}, {0.5f, 0.5f, 2.0f}, {0.0f, 1.0f, 1.0f}};
  const float mean[] = {kMean[0], 0.5f, 0.0f};
  const float std[] = {kStd[0], 0.5f, 1.0f};
  std::vector<std::uint8_t> pixels(256 * 4);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i / 4 + 85 * (i % 4));
  std::vector<float> out(3 * 256);
  REQUIRE(convert_pixels_avx2(pixels.data(), 256, 4, scales, out.data(), 256) == 256);
  for (std::size_t i = 0; i < 256; ++i)
    for (int c = 0; c < 3; ++c)
      CHECK(out[static_cast<std::size_t>(c) * 256 + i] ==
            element(pixels[4 * i + static_cast<std::size_t>(c)], c, {mean, std}));
  CHECK(convert_pixels_avx2(pixels.data(), 97, 3, scales, out.data(), 256) == 88);
}
#endif

TEST_CASE("the other dtypes are converted from float32") {
  const auto pixels = noise(3 * 64);
  ImageToTensorParams params = whole({pixels.data(), 8, 8, 3});
  params.normalization = {kMean, kStd};
  std::vector<float> exact(3 * 64);
  std::vector<double> wide(3 * 64);
  std::vector<Half> half(3 * 64);
  std::vector<BFloat16> brain(3 * 64);
  params.out = exact.data();
  REQUIRE(image_to_tensor(params) == Status::ok);
  params.dtype = DType::float64;
  params.out = wide.data();
  REQUIRE(image_to_tensor(params) == Status::ok);
  params.dtype = DType::float16;
  params.out = half.data();
  REQUIRE(image_to_tensor(params) == Status::ok);
  params.dtype = DType::bfloat16;
  params.out = brain.data();
  REQUIRE(image_to_tensor(params) == Status::ok);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    CHECK(wide[i] == static_cast<double>(exact[i]));
    CHECK(half[i].bits == narrow<Half>(exact[i]).bits);
    CHECK(brain[i].bits == narrow<BFloat16>(exact[i]).bits);
  }
}

TEST_CASE("a resize of one colour keeps it, and reads no alpha") {
  const std::vector<std::uint8_t> pixels(13 * 9 * 4, 77);
  for (const Interpolation interpolation : {Interpolation::bilinear, Interpolation::bicubic}) {
    const auto out = resized({pixels.data(), 9, 13, 4}, 5, 31, {0, 0, 5, 31}, interpolation);
    for (const std::uint8_t byte : out) CHECK(byte == 77);
  }
}

TEST_CASE("a resize to the same size changes nothing") {
  const auto pixels = noise(13 * 9 * 3);
  for (const Interpolation interpolation : {Interpolation::bilinear, Interpolation::bicubic})
    CHECK(resized({pixels.data(), 9, 13, 3}, 9, 13, {0, 0, 9, 13}, interpolation) == pixels);
}

TEST_CASE("a window of a resize has the bytes of the whole") {
  const auto pixels = noise(40 * 30 * 3);
  const Picture picture{pixels.data(), 30, 40, 3};
  for (const auto& [height, width] : {std::pair{11, 17}, std::pair{61, 50}}) {
    const auto all = resized(picture, height, width, {0, 0, height, width}, Interpolation::bicubic);
    const auto part = resized(picture, height, width, {4, 7, 5, 6}, Interpolation::bicubic);
    for (std::size_t y = 0; y < 5; ++y)
      for (std::size_t i = 0; i < 18; ++i)
        CHECK(part[y * 18 + i] == all[((y + 4) * static_cast<std::size_t>(width) + 7) * 3 + i]);
  }
}

TEST_CASE("a tensor becomes the nearest bytes") {
  const float infinity = std::numeric_limits<float>::infinity();
  const float x[] = {0.0f, 1.0f, -0.5f, 2.0f, infinity, -infinity, 0.5f, 100.4f / 255, 100.6f / 255};
  std::uint8_t pixels[9];
  TensorToImageParams params;
  params.x = x;
  params.colors = 1;
  params.height = params.width = 3;
  params.row_stride = 3;
  params.pixel_stride = 1;
  params.pixels = pixels;
  REQUIRE(tensor_to_image(params) == Status::ok);
  const std::uint8_t expected[] = {0, 255, 0, 255, 255, 0, 128, 100, 101};
  for (int i = 0; i < 9; ++i) CHECK(static_cast<int>(pixels[i]) == static_cast<int>(expected[i]));
  const float with_nan[] = {0, 0, 0, 0, std::numeric_limits<float>::quiet_NaN(), 0, 0, 0, 0};
  params.x = with_nan;
  CHECK(tensor_to_image(params) == Status::unsupported);
}

TEST_CASE("invalid arguments are refused") {
  const auto pixels = noise(4 * 4 * 3);
  std::vector<float> out(4 * 4 * 3);
  ImageToTensorParams valid = whole({pixels.data(), 4, 4, 3});
  valid.out = out.data();
  REQUIRE(image_to_tensor(valid) == Status::ok);
  const auto refuses = [&](auto change) {
    ImageToTensorParams params = valid;
    change(params);
    return image_to_tensor(params) == Status::invalid_argument;
  };
  CHECK(refuses([](auto& p) { p.out = nullptr; }));
  CHECK(refuses([](auto& p) { p.picture.pixels = nullptr; }));
  CHECK(refuses([](auto& p) { p.picture.channels = 5; }));
  CHECK(refuses([](auto& p) { p.picture.height = 0; }));
  CHECK(refuses([](auto& p) { p.dtype = DType::uint8; }));
  CHECK(refuses([](auto& p) { p.normalization.mean = kMean; }));
  CHECK(refuses([](auto& p) { p.window.left = 1; }));
  CHECK(refuses([](auto& p) { p.window.top = -1; }));
  CHECK(refuses([](auto& p) { p.window.height = 5; }));
  CHECK(refuses([](auto& p) { p.window.width = 0; }));
}

TEST_SUITE_END();
