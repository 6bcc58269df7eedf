#include "problem.hpp"

#include <cmath>
#include <cstring>
#include <random>

#include "kernels/cpu/reference.hpp"
#include "kernels/cuda/numerics.hpp"
#include "pytorch-arithmetic.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

/** Extra elements at the end of a cropped row. */
constexpr std::int64_t kCrop = 3;

std::vector<std::uint8_t> random_elements(std::mt19937& generator, std::int64_t count, DType dtype,
                                          float scale) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count) * item_size(dtype));
  std::normal_distribution<float> normal(0.0f, scale);
  for (std::int64_t i = 0; i < count; ++i) store_element(bytes.data(), dtype, i, normal(generator));
  return bytes;
}

float gelu_float(float h) { return h * 0.5f * (1.0f + std::erf(h * 0.70710678f)); }

}  // namespace

Problem::Problem(const Size& size, DType dtype, Layout layout, std::uint32_t seed)
    : size_(size), dtype_(dtype), layout_(layout) {
  std::mt19937 generator(seed);
  const std::int64_t rows = size.tokens * size.hidden;
  ForwardParams params = this->params();
  x_ = random_elements(generator, size.batch * params.x_batch_stride, dtype, 1.0f);
  weights_[0] = random_elements(generator, rows * size.channels, dtype,
                                1.0f / std::sqrt(static_cast<float>(size.channels)));
  weights_[1] = random_elements(generator, rows, dtype, 0.3f);
  weights_[2] = random_elements(generator, rows, dtype, 1.0f / std::sqrt(static_cast<float>(size.hidden)));
  weights_[3] = random_elements(generator, size.tokens, dtype, 0.3f);

  attention_.resize(static_cast<std::size_t>(size.batch * size.tokens * size.pixels()));
  tokens_.resize(static_cast<std::size_t>(size.batch * size.channels * size.tokens));
  params.x = x_.data();
  params.attention = attention_.data();
  params.tokens = tokens_.data();
  LayerView layers[2];
  reference_forward(params, weights(layers));
}

ForwardParams Problem::params() const {
  ForwardParams params;
  params.batch = size_.batch;
  params.height = size_.height;
  params.width = size_.width;
  params.dtype = dtype_;
  const std::int64_t row = size_.width + (layout_ == Layout::cropped ? kCrop : 0);
  params.x_pixel_stride = layout_ == Layout::channels_last ? size_.channels : 1;
  params.x_row_stride = row * params.x_pixel_stride;
  params.x_channel_stride = layout_ == Layout::channels_last ? 1 : row * size_.height;
  params.x_batch_stride = row * size_.height * size_.channels;
  params.tokens_batch_stride = size_.channels * size_.tokens;
  params.tokens_channel_stride = size_.tokens;
  params.tokens_token_stride = 1;
  params.attention_batch_stride = size_.tokens * size_.pixels();
  params.attention_token_stride = size_.pixels();
  return params;
}

WeightsView Problem::weights(LayerView (&layers)[2]) const {
  layers[0] = {weights_[0].data(), weights_[1].data()};
  layers[1] = {weights_[2].data(), weights_[3].data()};
  return {size_.channels, size_.hidden, size_.tokens, 2, dtype_, layers};
}

CudaShape Problem::shape() const { return shape_of(size_); }

double Problem::x_at(std::int64_t image, std::int64_t channel, std::int64_t pixel) const {
  const ForwardParams p = params();
  return load_element(x_.data(), dtype_,
                      image * p.x_batch_stride + channel * p.x_channel_stride +
                          pixel / size_.width * p.x_row_stride + pixel % size_.width * p.x_pixel_stride);
}

std::vector<float> Problem::weight_values(int which) const {
  std::vector<float> values(weights_[which].size() / item_size(dtype_));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = load_element(weights_[which].data(), dtype_, static_cast<std::int64_t>(i));
  return values;
}

std::vector<float> Problem::image_values(std::int64_t image) const {
  std::vector<float> values;
  for (std::int64_t p = 0; p < size_.pixels(); ++p) {
    for (std::int64_t c = 0; c < size_.channels; ++c) values.push_back(static_cast<float>(x_at(image, c, p)));
  }
  return values;
}

Problem::Errors Problem::pytorch_errors(Precision precision) const {
  const std::int64_t channels = size_.channels, hidden = size_.hidden, pixels = size_.pixels();
  const std::vector<float> w1 = operands(precision, weight_values(0)), b1 = weight_values(1),
                           w2 = operands(precision, weight_values(2)), b2 = weight_values(3);
  std::vector<double> attention, tokens(tokens_.size());
  for (std::int64_t b = 0; b < size_.batch; ++b) {
    const std::vector<float> image = image_values(b), x = operands(precision, image);
    for (std::int64_t g = 0; g < size_.tokens; ++g) {
      std::vector<float> map(static_cast<std::size_t>(pixels)), activations(static_cast<std::size_t>(hidden));
      for (std::int64_t p = 0; p < pixels; ++p) {
        for (std::int64_t k = 0; k < hidden; ++k) {
          const std::int64_t row = g * hidden + k;
          const float h = dot(&w1[static_cast<std::size_t>(row * channels)],
                              &x[static_cast<std::size_t>(p * channels)], channels);
          const float biased = round_as(precision, h + b1[static_cast<std::size_t>(row)]);
          activations[static_cast<std::size_t>(k)] =
              operand_of(precision, round_as(precision, gelu_float(biased)));
        }
        const float a = dot(&w2[static_cast<std::size_t>(g * hidden)], activations.data(), hidden);
        map[static_cast<std::size_t>(p)] = round_as(precision, a + b2[static_cast<std::size_t>(g)]);
      }
      attention.insert(attention.end(), map.begin(), map.end());
      for (std::int64_t c = 0; c < channels; ++c) {
        const float sum = sum_of(pixels, [&](std::int64_t p) {
          const auto at = static_cast<std::size_t>(p);
          return round_as(
              precision,
              image[at * static_cast<std::size_t>(channels) + static_cast<std::size_t>(c)] * map[at]);
        });
        tokens[static_cast<std::size_t>((b * channels + c) * size_.tokens + g)] =
            round_as(precision, sum / static_cast<float>(pixels));
      }
    }
  }
  return {relative_error(attention, attention_), relative_error(tokens, tokens_)};
}

CudaShape shape_of(const Size& size) {
  return {size.batch, size.channels, size.hidden, size.tokens, size.pixels()};
}

double relative_error(const std::vector<double>& got, const std::vector<double>& expected) {
  double difference = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += (got[i] - expected[i]) * (got[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / norm);
}

double allowed_error(Precision precision, double pytorch) {
  // One rounding of an operand. With few weights PyTorch's own roundings can cancel each other by luck.
  if (precision == Precision::tf32) return std::fmax(0x1p-11, 2.0 * pytorch);
  if (precision != Precision::float32) return 2.0 * pytorch;
  return std::fmin(2e-6, std::fmax(2.5e-7, 2.0 * pytorch));
}

}  // namespace tokenlearner::kernels::cuda::test
