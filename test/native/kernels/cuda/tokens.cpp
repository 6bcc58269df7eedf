// On the host machine: the token product for every way in which its kernel reads x.
#include <doctest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/cuda/launch.hpp"
#include "kernels/cuda/numerics.hpp"
#include "problem.hpp"
#include "stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

constexpr std::int64_t kImages = 2, kChannels = 37, kTokens = 9;

/** Images with any strides, and their maps. */
struct Input {
  Input(DType dtype_of_x, std::int64_t pixel_count, std::int64_t channel, std::int64_t pixel)
      : dtype(dtype_of_x), pixels(pixel_count), channel_stride(channel), pixel_stride(pixel) {
    std::mt19937 generator(4);
    std::normal_distribution<float> normal;
    batch_stride = channel * (kChannels - 1) + pixel * (pixels - 1) + 1;
    // An even stride, so that a second image is aligned as the first one.
    batch_stride += batch_stride % 2;
    // Values between the pixels are NaN: they must not be read into a sum.
    x.assign(static_cast<std::size_t>(kImages * batch_stride) * item_size(dtype), 0xff);
    for (std::int64_t b = 0; b < kImages; ++b) {
      for (std::int64_t c = 0; c < kChannels; ++c) {
        for (std::int64_t p = 0; p < pixels; ++p)
          store_element(x.data(), dtype, at(b, c, p), normal(generator));
      }
    }
    for (std::int64_t i = 0; i < kImages * kTokens * pixels; ++i) attention.push_back(normal(generator));
  }

  std::int64_t at(std::int64_t image, std::int64_t channel, std::int64_t pixel) const {
    return image * batch_stride + channel * channel_stride + pixel * pixel_stride;
  }

  TokensArgs args() {
    TokensArgs result;
    result.x.data = x.data();
    result.x.dtype = dtype;
    result.x.batch_stride = batch_stride;
    result.x.channel_stride = channel_stride;
    result.x.pixel_stride = pixel_stride;
    find_vector_loads(result.x, kChannels, pixels);
    result.channels = kChannels;
    result.tokens = kTokens;
    result.pixels = pixels;
    result.attention = {attention.data(), kTokens * pixels, pixels};
    result.output_batch_stride = kChannels * kTokens;
    result.output_channel_stride = kTokens;
    result.output_token_stride = 1;
    result.segments = static_cast<int>(ceil_div<std::int64_t>(pixels, 1024));
    return result;
  }

  std::vector<double> expected() const {
    std::vector<double> result;
    for (std::int64_t b = 0; b < kImages; ++b) {
      for (std::int64_t c = 0; c < kChannels; ++c) {
        for (std::int64_t g = 0; g < kTokens; ++g) {
          double sum = 0.0;
          for (std::int64_t p = 0; p < pixels; ++p) {
            sum += static_cast<double>(load_element(x.data(), dtype, at(b, c, p))) *
                   attention[static_cast<std::size_t>((b * kTokens + g) * pixels + p)];
          }
          result.push_back(sum / static_cast<double>(pixels));
        }
      }
    }
    return result;
  }

  DType dtype;
  std::int64_t pixels, batch_stride, channel_stride, pixel_stride;
  std::vector<std::uint8_t> x;
  std::vector<float> attention;
};

std::vector<double> run(TokensArgs args) {
  std::vector<std::uint8_t> output(kImages * kChannels * kTokens * item_size(args.x.dtype), 0xff);
  std::vector<float> segment_sums(static_cast<std::size_t>(kImages * args.segments * kChannels * kTokens),
                                  NAN);
  args.output = output.data();
  args.segment_sums = segment_sums.data();
  CHECK(launch_tokens(args, kImages, nullptr) == Status::ok);
  std::vector<double> result;
  for (std::int64_t i = 0; i < kImages * kChannels * kTokens; ++i)
    result.push_back(load_element(output.data(), args.x.dtype, i));
  return result;
}

/** Half a unit in the last place of the output, and the rounding of float32 sums. */
double allowed(DType dtype) {
  return dtype == DType::float32 ? 2.5e-7 : dtype == DType::float16 ? 0x1p-11 : 0x1p-8;
}

void check(std::int64_t pixels, std::int64_t channel_stride, std::int64_t pixel_stride, bool pairs) {
  for (const DType dtype : {DType::float32, DType::float16, DType::bfloat16}) {
    Input input(dtype, pixels, channel_stride, pixel_stride);
    CAPTURE(dtype);
    CAPTURE(pixels);
    CHECK(input.args().x.pixel_pairs == pairs);
    CHECK(relative_error(run(input.args()), input.expected()) <= allowed(dtype));
  }
}

TEST_SUITE("cuda/tokens") {
  TEST_CASE("pairs of pixels by one load") {
    for (const std::int64_t pixels : {2, 64, 130, 258}) check(pixels, pixels, 1, true);
  }
  TEST_CASE("pairs of pixels, several segments") { check(1134, 1134, 1, true); }
  TEST_CASE("an odd number of pixels") {
    for (const std::int64_t pixels : {1, 49, 65, 1025}) check(pixels, pixels, 1, false);
  }
  TEST_CASE("an odd number of pixels in rows of even length, which NaN ends") { check(49, 50, 1, false); }
  TEST_CASE("pixels that are not contiguous") { check(66, 200, 3, false); }
  TEST_CASE("channels last") {
    for (const std::int64_t pixels : {1, 8, 31, 257, 1025}) check(pixels, 1, kChannels, false);
  }

  TEST_CASE("pairs by one load and by two have the same bits") {
    Input paired(DType::float32, 130, 130, 1);
    Input single(DType::float32, 130, 131, 1);
    CHECK(paired.args().x.pixel_pairs);
    CHECK_FALSE(single.args().x.pixel_pairs);
    CHECK(run(paired.args()) == run(single.args()));
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
