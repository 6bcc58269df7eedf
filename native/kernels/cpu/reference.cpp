#include "kernels/cpu/reference.hpp"

#include <cmath>
#include <new>
#include <vector>

#include "kernels/cpu/validate.hpp"

namespace tokenlearner::kernels {
namespace {

double load(const void* base, DType dtype, std::int64_t index) {
  switch (dtype) {
    case DType::float32:
      return static_cast<const float*>(base)[index];
    case DType::float64:
      return static_cast<const double*>(base)[index];
    case DType::float16:
      return widen(static_cast<const Half*>(base)[index]);
    case DType::bfloat16:
      return widen(static_cast<const BFloat16*>(base)[index]);
    default:
      return NAN;
  }
}

double gelu(double x) { return x * 0.5 * (1.0 + std::erf(x * std::sqrt(0.5))); }

/** One group of a 1x1 convolution on one pixel: output[o] = weight[row0 + o, :] . input + bias[row0 + o]. */
void convolve(const LayerView& layer, DType dtype, std::int64_t row0, const std::vector<double>& input,
              std::vector<double>& output) {
  const auto fan_in = static_cast<std::int64_t>(input.size());
  for (std::size_t o = 0; o < output.size(); ++o) {
    const std::int64_t row = row0 + static_cast<std::int64_t>(o);
    double sum = load(layer.bias, dtype, row);
    for (std::int64_t i = 0; i < fan_in; ++i) {
      sum += load(layer.weight, dtype, row * fan_in + i) * input[static_cast<std::size_t>(i)];
    }
    output[o] = sum;
  }
}

/** A[g,p] of one pixel; `pixel` holds its channels. */
double attend(const WeightsView& weights, std::int64_t token, const std::vector<double>& pixel) {
  std::vector<double> input = pixel;
  for (int layer = 0; layer < weights.num_layers; ++layer) {
    const bool last = layer == weights.num_layers - 1;
    const std::int64_t rows = last ? 1 : weights.hidden;
    std::vector<double> output(static_cast<std::size_t>(rows));
    convolve(weights.layers[layer], weights.dtype, token * rows, input, output);
    if (last) return output[0];
    for (double& value : output) value = gelu(value);
    input = std::move(output);
  }
  return NAN;
}

void forward_image(const ForwardParams& params, const WeightsView& weights, std::int64_t image) {
  const std::int64_t pixels = params.height * params.width;
  double* attention = static_cast<double*>(params.attention) + image * params.attention_batch_stride;
  double* tokens = static_cast<double*>(params.tokens) + image * params.tokens_batch_stride;
  std::vector<double> sums(static_cast<std::size_t>(weights.channels * weights.tokens), 0.0);
  std::vector<double> pixel(static_cast<std::size_t>(weights.channels));

  for (std::int64_t p = 0; p < pixels; ++p) {
    const std::int64_t at = image * params.x_batch_stride + p / params.width * params.x_row_stride +
                            p % params.width * params.x_pixel_stride;
    for (std::int64_t c = 0; c < weights.channels; ++c) {
      pixel[static_cast<std::size_t>(c)] = load(params.x, params.dtype, at + c * params.x_channel_stride);
    }
    for (std::int64_t g = 0; g < weights.tokens; ++g) {
      const double map = attend(weights, g, pixel);
      attention[g * params.attention_token_stride + p] = map;
      for (std::int64_t c = 0; c < weights.channels; ++c) {
        sums[static_cast<std::size_t>(c * weights.tokens + g)] += pixel[static_cast<std::size_t>(c)] * map;
      }
    }
  }
  for (std::int64_t c = 0; c < weights.channels; ++c) {
    for (std::int64_t g = 0; g < weights.tokens; ++g) {
      tokens[c * params.tokens_channel_stride + g * params.tokens_token_stride] =
          sums[static_cast<std::size_t>(c * weights.tokens + g)] / static_cast<double>(pixels);
    }
  }
}

}  // namespace

Status reference_forward(const ForwardParams& params, const WeightsView& weights) noexcept {
  if (!is_valid(weights) || !is_valid(params)) return Status::invalid_argument;
  try {
    for (std::int64_t image = 0; image < params.batch; ++image) forward_image(params, weights, image);
  } catch (const std::bad_alloc&) {
    return Status::out_of_memory;
  }
  return Status::ok;
}

}  // namespace tokenlearner::kernels
