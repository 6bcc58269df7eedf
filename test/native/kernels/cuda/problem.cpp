#include "problem.hpp"

#include <cmath>
#include <cstring>
#include <random>

#include "kernels/cpu/reference.hpp"
#include "kernels/cuda/numerics.hpp"

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

float round_as(Precision precision, float value) {
  switch (precision) {
    case Precision::float32:
    case Precision::tf32:
      return value;
    case Precision::bfloat16:
      return bfloat16_to_float(float_to_bfloat16(value));
    case Precision::float16:
      return half_to_float(float_to_half(value));
  }
  return value;
}

float operand_of(Precision precision, float value) {
  return precision == Precision::tf32 ? round_to_tf32(value) : value;
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

CudaShape Problem::shape() const {
  return {size_.batch, size_.channels, size_.hidden, size_.tokens, size_.pixels()};
}

double Problem::x_at(std::int64_t image, std::int64_t channel, std::int64_t pixel) const {
  const ForwardParams p = params();
  return load_element(x_.data(), dtype_,
                      image * p.x_batch_stride + channel * p.x_channel_stride +
                          pixel / size_.width * p.x_row_stride + pixel % size_.width * p.x_pixel_stride);
}

Problem::Errors Problem::pytorch_errors(Precision precision) const {
  // float32 sums in eight running sums, as a vectorised product keeps them; storage is rounded after every
  // operator.
  std::vector<double> attention, tokens(tokens_.size());
  const auto sum_of = [](std::int64_t count, auto term) {
    float sums[8] = {};
    for (std::int64_t i = 0; i < count; ++i) sums[i % 8] += term(i);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  };
  const auto parameter = [&](int which, std::int64_t i) {
    return load_element(weights_[which].data(), dtype_, i);
  };
  for (std::int64_t b = 0; b < size_.batch; ++b) {
    for (std::int64_t g = 0; g < size_.tokens; ++g) {
      std::vector<float> map;
      for (std::int64_t p = 0; p < size_.pixels(); ++p) {
        std::vector<float> hidden;
        for (std::int64_t k = 0; k < size_.hidden; ++k) {
          const std::int64_t row = g * size_.hidden + k;
          const float h = sum_of(size_.channels, [&](std::int64_t c) {
            return operand_of(precision, parameter(0, row * size_.channels + c)) *
                   operand_of(precision, static_cast<float>(x_at(b, c, p)));
          });
          const float biased = round_as(precision, h + parameter(1, row));
          hidden.push_back(operand_of(precision, round_as(precision, gelu_float(biased))));
        }
        const float a = sum_of(size_.hidden, [&](std::int64_t k) {
          return operand_of(precision, parameter(2, g * size_.hidden + k)) *
                 hidden[static_cast<std::size_t>(k)];
        });
        map.push_back(round_as(precision, a + parameter(3, g)));
        attention.push_back(map.back());
      }
      for (std::int64_t c = 0; c < size_.channels; ++c) {
        const float sum = sum_of(size_.pixels(), [&](std::int64_t p) {
          return round_as(precision, static_cast<float>(x_at(b, c, p)) * map[static_cast<std::size_t>(p)]);
        });
        tokens[static_cast<std::size_t>((b * size_.channels + c) * size_.tokens + g)] =
            round_as(precision, sum / static_cast<float>(size_.pixels()));
      }
    }
  }
  return {relative_error(attention, attention_), relative_error(tokens, tokens_)};
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

DType dtype_of(Precision precision) {
  return precision == Precision::bfloat16  ? DType::bfloat16
         : precision == Precision::float16 ? DType::float16
                                           : DType::float32;
}

double allowed_error(Precision precision, double pytorch) {
  if (precision != Precision::float32) return 2.0 * pytorch;
  return std::fmin(2e-6, std::fmax(2.5e-7, 2.0 * pytorch));
}

}  // namespace tokenlearner::kernels::cuda::test
