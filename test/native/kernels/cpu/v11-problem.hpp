// TokenLearner v1.1 with random parameters: in memory for the kernels, and computed in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "kernels/cpu/token-learner-v11.hpp"
#include "problem.hpp"
#include "run.hpp"

namespace test {

/** A few units in the last place; in 16 bits the input's rounding is exact and the output's is half a unit. */
inline double bar(DType dtype) {
  switch (dtype) {
    case DType::float64:
      return 2e-15;
    case DType::float16:
      return 0x1p-11;
    case DType::bfloat16:
      return 0x1p-8;
    default:
      return 6e-7;
  }
}

using Bytes = std::vector<unsigned char>;

struct V11Case {
  std::int64_t batch = 1;
  std::int64_t channels = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;
  std::int64_t tokens = 8;
  std::int64_t hidden = 64;
  /** Above 0: grouped convolutions with a value path, as in the first versions. */
  std::int64_t groups = 0;
  Activation activation = Activation::gelu_tanh;
  Layout layout = Layout::channels_first;
  double offset = 0;
  double magnitude = 1;
};

inline double activate(Activation activation, double x) {
  if (activation == Activation::none) return x;
  if (activation == Activation::gelu_erf) return x * 0.5 * std::erfc(-x * std::sqrt(0.5));
  return x / (1 + std::exp(-2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

class V11Problem {
 public:
  V11Problem(const V11Problem&) = delete;
  V11Problem& operator=(const V11Problem&) = delete;
  V11Problem(const V11Case& config, DType dtype)
      : config_(config), dtype_(dtype), images_(image_case(config), dtype) {
    const std::int64_t in = config.channels / groups();
    const double fan = std::sqrt(static_cast<double>(in));
    norm_weight_ = draw(config.channels, 0.25, 1);
    norm_bias_ = draw(config.channels, 0.25);
    first_weight_ = draw(hidden() * in, 2 / fan);
    first_bias_ = draw(hidden(), 0.5);
    second_weight_ = draw(config.tokens * hidden(), 2 / std::sqrt(static_cast<double>(hidden())));
    second_bias_ = draw(config.tokens, 0.5);
    value_ = draw(config.channels * in, 1 / fan);
    // The offset is added to the numbers as they are rounded to the dtype.
    const std::size_t count = images_.x().size() / item_size(dtype);
    std::vector<double> x = decode(images_.x(), dtype, count);
    for (double& value : x) value += config.offset;
    images_.x() = encode(x, dtype);
    x_ = decode(images_.x(), dtype, count);
  }

  const V11Case& config() const { return config_; }
  Problem& images() { return images_; }
  const Problem& images() const { return images_; }
  std::int64_t groups() const { return std::max<std::int64_t>(config_.groups, 1); }
  std::int64_t hidden() const { return config_.groups > 0 ? config_.channels : config_.hidden; }
  std::size_t token_count() const { return images_.token_count(); }
  std::size_t attention_count() const { return images_.attention_count(); }

  TokenLearnerV11View view() const {
    TokenLearnerV11View view;
    const bool has_value = config_.groups > 0;
    view.mlp = {.channels = config_.channels,
                .hidden = hidden(),
                .tokens = config_.tokens,
                .groups = groups(),
                .dtype = dtype_,
                .activation = config_.activation,
                .eps = 1e-6,
                .norm_weight = norm_weight_.data(),
                .norm_bias = norm_bias_.data(),
                .first_weight = first_weight_.data(),
                .first_bias = has_value ? nullptr : first_bias_.data(),
                .second_weight = second_weight_.data(),
                .second_bias = has_value ? nullptr : second_bias_.data()};
    if (has_value) view.value_weight = value_.data();
    return view;
  }

  /** Tokens (B, C, G) and maps (B, G, P) in double. */
  Result reference() const {
    Result result;
    for (std::int64_t b = 0; b < config_.batch; ++b) image(b, result);
    return result;
  }

  /** A number of a parameter, and of x. */
  double at(const Bytes& bytes, std::int64_t index) const {
    const std::size_t size = item_size(dtype_);
    const auto from = bytes.begin() + index * static_cast<std::int64_t>(size);
    return decode({from, from + static_cast<std::int64_t>(size)}, dtype_, 1)[0];
  }

  double x(std::int64_t b, std::int64_t c, std::int64_t p) const {
    return x_[static_cast<std::size_t>(images_.at(b, c, p / config_.width, p % config_.width))];
  }

  /** LayerNorm of one pixel, in double. */
  std::vector<double> normed(std::int64_t b, std::int64_t p) const {
    std::vector<double> n(static_cast<std::size_t>(config_.channels));
    double mean = 0, variance = 0;
    for (std::int64_t c = 0; c < config_.channels; ++c) mean += x(b, c, p);
    mean /= static_cast<double>(config_.channels);
    for (std::int64_t c = 0; c < config_.channels; ++c) variance += std::pow(x(b, c, p) - mean, 2);
    variance /= static_cast<double>(config_.channels);
    for (std::int64_t c = 0; c < config_.channels; ++c) {
      n[static_cast<std::size_t>(c)] =
          (x(b, c, p) - mean) / std::sqrt(variance + 1e-6) * at(norm_weight_, c) + at(norm_bias_, c);
    }
    return n;
  }

  /** L of one pixel, in double. */
  std::vector<double> logits(std::int64_t b, std::int64_t p) const {
    const std::vector<double> n = normed(b, p);
    const std::int64_t in = config_.channels / groups();
    const bool has_bias = config_.groups == 0;
    std::vector<double> l(static_cast<std::size_t>(config_.tokens));
    for (std::int64_t g = 0; g < config_.tokens && has_bias; ++g)
      l[static_cast<std::size_t>(g)] = at(second_bias_, g);
    for (std::int64_t d = 0; d < hidden(); ++d) {
      double h = has_bias ? at(first_bias_, d) : 0;
      const std::int64_t first = d / (hidden() / groups()) * in;
      for (std::int64_t i = 0; i < in; ++i)
        h += at(first_weight_, d * in + i) * n[static_cast<std::size_t>(first + i)];
      h = activate(config_.activation, h);
      for (std::int64_t g = 0; g < config_.tokens; ++g)
        l[static_cast<std::size_t>(g)] += at(second_weight_, g * hidden() + d) * h;
    }
    return l;
  }

  RawResult run(Isa isa, Parallel& parallel, int threads, bool tokens_first = false) const {
    RawResult raw = room_for(token_count(), attention_count(), dtype_);
    std::shared_ptr<const NormMlpWeights> packed;
    REQUIRE(NormMlpWeights::pack(view(), isa, packed) == Status::ok);
    ForwardParams params = images_.params(raw.tokens.data(), raw.attention.data(), tokens_first);
    CHECK(token_learner_v11_forward(std::span(&params, 1), *packed, parallel, threads) == Status::ok);
    check_ends(raw);
    return raw;
  }

  Result run_decoded(Isa isa) const {
    SerialParallel serial;
    const RawResult raw = run(isa, serial, 1);
    return {decode(raw.tokens, dtype_, token_count()),
            decode(raw.attention, compute_dtype(dtype_), attention_count())};
  }

  /** Random numbers around `offset`, as they are rounded to the dtype. */
  Bytes draw(std::int64_t count, double scale, double offset = 0) {
    std::uniform_real_distribution<double> distribution(-scale, scale);
    std::vector<double> values(static_cast<std::size_t>(count));
    for (double& value : values) value = distribution(random_) + offset;
    return encode(values, dtype_);
  }

 private:
  static Case image_case(const V11Case& config) {
    return {.batch = config.batch,
            .channels = config.channels,
            .height = config.height,
            .width = config.width,
            .tokens = config.tokens,
            .ff = 1,
            .layout = config.layout,
            .magnitude = config.magnitude,
            .num_layers = 1};
  }

  void image(std::int64_t b, Result& result) const {
    const std::int64_t pixels = config_.height * config_.width;
    std::vector<std::vector<double>> l;
    for (std::int64_t p = 0; p < pixels; ++p) l.push_back(logits(b, p));
    std::vector<double> tokens(static_cast<std::size_t>(config_.channels * config_.tokens));
    for (std::int64_t g = 0; g < config_.tokens; ++g) {
      const auto token = static_cast<std::size_t>(g);
      double largest = -INFINITY, sum = 0;
      for (const auto& row : l) largest = std::max(largest, row[token]);
      for (const auto& row : l) sum += std::exp(row[token] - largest);
      std::vector<double> y(static_cast<std::size_t>(config_.channels));
      for (std::int64_t p = 0; p < pixels; ++p) {
        const double map = std::exp(l[static_cast<std::size_t>(p)][token] - largest) / sum;
        result.attention.push_back(map);
        for (std::int64_t c = 0; c < config_.channels; ++c)
          y[static_cast<std::size_t>(c)] += map * x(b, c, p);
      }
      const std::int64_t in = config_.channels / groups();
      for (std::int64_t c = 0; c < config_.channels; ++c) {
        double value = config_.groups == 0 ? y[static_cast<std::size_t>(c)] : 0;
        for (std::int64_t i = 0; i < in && config_.groups > 0; ++i)
          value += at(value_, c * in + i) * y[static_cast<std::size_t>(c / in * in + i)];
        tokens[static_cast<std::size_t>(c * config_.tokens + g)] = value;
      }
    }
    result.tokens.insert(result.tokens.end(), tokens.begin(), tokens.end());
  }

  V11Case config_;
  DType dtype_;
  std::mt19937 random_{7};
  Problem images_;
  Bytes norm_weight_, norm_bias_, first_weight_, first_bias_, second_weight_, second_bias_, value_;
  std::vector<double> x_;
};

}  // namespace test
