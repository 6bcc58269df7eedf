// Random layers and images in memory, for the tests and timings of the CPU kernels.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/dtype.hpp"
#include "kernels/token-learner-params.hpp"

namespace test {

using namespace tokenlearner::kernels;

/** How x lies in memory. `padded` is channels-first with gaps after rows, channels and images. */
enum class Layout { channels_first, channels_last, padded };

constexpr const char* name_of(Layout layout) {
  switch (layout) {
    case Layout::channels_first:
      return "channels first";
    case Layout::channels_last:
      return "channels last";
    case Layout::padded:
      return "padded";
  }
  return "";
}

struct Case {
  std::int64_t batch = 1;
  std::int64_t channels = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;
  std::int64_t tokens = 1;
  std::int64_t ff = 2;
  Layout layout = Layout::channels_first;
  double magnitude = 1;
  int num_layers = 2;

  std::int64_t pixels() const { return height * width; }
  std::int64_t hidden() const { return ff * channels; }
  std::string name() const {
    char text[160];
    std::snprintf(text, sizeof text, "B %d C %d %dx%d G %d ff %d %s magnitude %g layers %d", int(batch),
                  int(channels), int(height), int(width), int(tokens), int(ff), name_of(layout), magnitude,
                  num_layers);
    return text;
  }
};

/** Bytes of `values` in `dtype`, rounded to it. */
inline std::vector<unsigned char> encode(const std::vector<double>& values, DType dtype) {
  std::vector<unsigned char> bytes(values.size() * item_size(dtype) + 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto put = [&](auto value) { std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value); };
    if (dtype == DType::float64) put(values[i]);
    if (dtype == DType::float32) put(static_cast<float>(values[i]));
    if (dtype == DType::float16) put(narrow<Half>(static_cast<float>(values[i])));
    if (dtype == DType::bfloat16) put(narrow<BFloat16>(static_cast<float>(values[i])));
  }
  return bytes;
}

inline std::vector<double> decode(const std::vector<unsigned char>& bytes, DType dtype, std::size_t count) {
  std::vector<double> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto get = [&]<typename T>(T value) {
      std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
      return static_cast<double>(widen(value));
    };
    if (dtype == DType::float64) values[i] = get(double{});
    if (dtype == DType::float32) values[i] = get(float{});
    if (dtype == DType::float16) values[i] = get(Half{});
    if (dtype == DType::bfloat16) values[i] = get(BFloat16{});
  }
  return values;
}

/** Layers initialised as PyTorch's Conv2d, and an image batch of N(0, magnitude^2). */
class Problem {
 public:
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;
  Problem(const Case& config, DType dtype, unsigned seed = 1)
      : config_(config), dtype_(dtype), random_(seed) {
    std::int64_t inputs = config.channels;
    for (int i = 0; i < config.num_layers; ++i) {
      const std::int64_t rows = config.tokens * (i == config.num_layers - 1 ? 1 : config.hidden());
      const double bound = 1.0 / std::sqrt(static_cast<double>(inputs));
      memory_.push_back(uniform(rows * inputs, bound));
      memory_.push_back(uniform(rows, bound));
      layers_.push_back({memory_[memory_.size() - 2].data(), memory_.back().data()});
      inputs = config.hidden();
    }
    lay_out();
    std::normal_distribution<double> normal(0, config.magnitude);
    std::vector<double> values(static_cast<std::size_t>(span_));
    for (double& value : values) value = normal(random_);
    x_ = encode(values, dtype);
  }

  const Case& config() const { return config_; }
  DType dtype() const { return dtype_; }
  std::vector<unsigned char>& x() { return x_; }

  WeightsView weights() const {
    return {config_.channels, config_.hidden(), config_.tokens, config_.num_layers, dtype_, layers_.data()};
  }

  /** Writes y as (B, C, G), or as (B, G, C) with tokens_first. */
  ForwardParams params(void* tokens, void* attention, bool tokens_first = false) const {
    ForwardParams params;
    params.batch = config_.batch;
    params.height = config_.height;
    params.width = config_.width;
    params.dtype = dtype_;
    params.x = x_.data();
    params.x_batch_stride = strides_[0];
    params.x_channel_stride = strides_[1];
    params.x_row_stride = strides_[2];
    params.x_pixel_stride = strides_[3];
    params.tokens = tokens;
    params.tokens_batch_stride = config_.channels * config_.tokens;
    params.tokens_channel_stride = tokens_first ? 1 : config_.tokens;
    params.tokens_token_stride = tokens_first ? config_.channels : 1;
    params.attention = attention;
    params.attention_batch_stride = config_.tokens * config_.pixels();
    params.attention_token_stride = config_.pixels();
    return params;
  }

  std::size_t token_count() const { return std::size_t(config_.batch * config_.channels * config_.tokens); }
  std::size_t attention_count() const {
    return std::size_t(config_.batch * config_.tokens * config_.pixels());
  }
  /** Index into x's elements. */
  std::int64_t at(std::int64_t b, std::int64_t c, std::int64_t h, std::int64_t w) const {
    return b * strides_[0] + c * strides_[1] + h * strides_[2] + w * strides_[3];
  }

 private:
  std::vector<unsigned char> uniform(std::int64_t count, double bound) {
    std::uniform_real_distribution<double> distribution(-bound, bound);
    std::vector<double> values(static_cast<std::size_t>(count));
    for (double& value : values) value = distribution(random_);
    return encode(values, dtype_);
  }

  void lay_out() {
    const std::int64_t c = config_.channels, h = config_.height, w = config_.width;
    if (config_.layout == Layout::channels_last) {
      strides_[0] = h * w * c, strides_[1] = 1, strides_[2] = w * c, strides_[3] = c;
    } else {
      const std::int64_t gap = config_.layout == Layout::padded ? 3 : 0;
      strides_[3] = 1, strides_[2] = w + gap, strides_[1] = h * strides_[2] + gap,
      strides_[0] = c * strides_[1] + gap;
    }
    span_ = config_.batch * strides_[0];
  }

  Case config_;
  DType dtype_;
  std::mt19937 random_;
  std::vector<std::vector<unsigned char>> memory_;
  std::vector<LayerView> layers_;
  std::vector<unsigned char> x_;
  std::int64_t strides_[4] = {};
  std::int64_t span_ = 0;
};

}  // namespace test
