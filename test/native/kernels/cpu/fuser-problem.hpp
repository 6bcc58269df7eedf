// TokenFuser with random parameters: in memory for the kernels, and computed in double.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "kernels/cpu/token-fuser.hpp"
#include "v11-problem.hpp"

namespace test {

/** The original and the MLP are those of a V11Problem. */
class FuserProblem {
 public:
  FuserProblem(const V11Case& config, DType dtype, bool has_norms = true)
      : config_(config), dtype_(dtype), has_norms_(has_norms), mlp_(config, dtype) {
    const std::int64_t c = config.channels, g = config.tokens;
    tokens_ = mlp_.draw(config.batch * c * g, 1);
    mix_weight_ = mlp_.draw(g * g, 1);
    mix_bias_ = mlp_.draw(g, 1);
    for (Bytes* weight : {&norm1_weight_, &norm2_weight_}) *weight = mlp_.draw(c, 0.25, 1);
    for (Bytes* bias : {&norm1_bias_, &norm2_bias_}) *bias = mlp_.draw(c, 0.25);
  }

  const V11Case& config() const { return config_; }
  V11Problem& original() { return mlp_; }
  const V11Problem& original() const { return mlp_; }
  DType dtype() const { return dtype_; }

  TokenFuserView view() const {
    TokenFuserView view;
    view.mlp = mlp_.view().mlp;
    view.mix_weight = mix_weight_.data();
    view.mix_bias = mix_bias_.data();
    if (!has_norms_) return view;
    view.norm1_weight = norm1_weight_.data();
    view.norm1_bias = norm1_bias_.data();
    view.norm2_weight = norm2_weight_.data();
    view.norm2_bias = norm2_bias_.data();
    return view;
  }

  /** `out` and `attention` are where the results go. */
  TokenFuserParams params(void* out, void* attention, bool channels_last) const {
    const ForwardParams image = mlp_.images().params(nullptr, nullptr);
    TokenFuserParams params;
    params.batch = config_.batch;
    params.height = config_.height;
    params.width = config_.width;
    params.dtype = dtype_;
    params.x = image.x;
    params.x_batch_stride = image.x_batch_stride;
    params.x_channel_stride = image.x_channel_stride;
    params.x_row_stride = image.x_row_stride;
    params.x_pixel_stride = image.x_pixel_stride;
    params.tokens = tokens_.data();
    params.tokens_batch_stride = config_.channels * config_.tokens;
    params.tokens_channel_stride = config_.tokens;
    params.tokens_token_stride = 1;
    params.out_channels_last = channels_last;
    params.out = out;
    params.attention = attention;
    return params;
  }

  std::size_t output_count() const {
    return static_cast<std::size_t>(config_.batch * config_.channels * config_.height * config_.width);
  }
  std::size_t attention_count() const { return mlp_.attention_count(); }

  /** The output (`tokens`) and the maps. */
  RawResult run(Isa isa, Parallel& parallel, int threads, bool channels_last = false) const {
    RawResult raw = room_for(output_count(), attention_count(), dtype_);
    std::shared_ptr<const TokenFuserWeights> packed;
    REQUIRE(TokenFuserWeights::pack(view(), isa, packed) == Status::ok);
    const TokenFuserParams p = params(raw.tokens.data(), raw.attention.data(), channels_last);
    CHECK(token_fuser_forward(std::span(&p, 1), *packed, parallel, threads) == Status::ok);
    check_ends(raw);
    return raw;
  }

  /** The output (B, C, P) and the maps (B, G, P), in double. */
  Result reference() const {
    const std::int64_t pixels = config_.height * config_.width, channels = config_.channels,
                       tokens = config_.tokens;
    Result result;
    for (std::int64_t b = 0; b < config_.batch; ++b) {
      const std::vector<double> mixed = mixed_tokens(b);
      std::vector<std::vector<double>> weights;
      for (std::int64_t p = 0; p < pixels; ++p) {
        weights.push_back(mlp_.logits(b, p));
        for (double& value : weights.back()) value = 1 / (1 + std::exp(-value));
      }
      for (std::int64_t c = 0; c < channels; ++c) {
        for (const std::vector<double>& own : weights) {
          double sum = 0;
          for (std::int64_t g = 0; g < tokens; ++g)
            sum += own[static_cast<std::size_t>(g)] * mixed[static_cast<std::size_t>(g * channels + c)];
          result.tokens.push_back(sum);
        }
      }
      for (std::int64_t g = 0; g < tokens; ++g) {
        for (const std::vector<double>& own : weights)
          result.attention.push_back(own[static_cast<std::size_t>(g)]);
      }
    }
    return result;
  }

 private:
  std::vector<double> numbers(const Bytes& bytes) const {
    return decode(bytes, dtype_, bytes.size() / item_size(dtype_));
  }

  void normalise(double* row, const Bytes& weight, const Bytes& bias) const {
    const std::vector<double> scale = numbers(weight), shift = numbers(bias);
    double mean = 0, variance = 0;
    const auto count = static_cast<std::size_t>(config_.channels);
    for (std::size_t c = 0; c < count; ++c) mean += row[c] / static_cast<double>(count);
    for (std::size_t c = 0; c < count; ++c)
      variance += std::pow(row[c] - mean, 2) / static_cast<double>(count);
    for (std::size_t c = 0; c < count; ++c)
      row[c] = (row[c] - mean) / std::sqrt(variance + 1e-6) * scale[c] + shift[c];
  }

  /** T, (G, C). */
  std::vector<double> mixed_tokens(std::int64_t b) const {
    const auto channels = static_cast<std::size_t>(config_.channels),
               count = static_cast<std::size_t>(config_.tokens);
    const std::vector<double> t = numbers(tokens_), weight = numbers(mix_weight_), bias = numbers(mix_bias_);
    std::vector<double> normed(channels * count), mixed(channels * count);
    for (std::size_t g = 0; g < count; ++g) {
      for (std::size_t c = 0; c < channels; ++c)
        normed[g * channels + c] = t[(static_cast<std::size_t>(b) * channels + c) * count + g];
      if (has_norms_) normalise(&normed[g * channels], norm1_weight_, norm1_bias_);
    }
    for (std::size_t h = 0; h < count; ++h) {
      for (std::size_t c = 0; c < channels; ++c) {
        double& sum = mixed[h * channels + c];
        sum = bias[h];
        for (std::size_t g = 0; g < count; ++g) sum += weight[h * count + g] * normed[g * channels + c];
      }
      if (has_norms_) normalise(&mixed[h * channels], norm2_weight_, norm2_bias_);
    }
    return mixed;
  }

  V11Case config_;
  DType dtype_;
  bool has_norms_;
  V11Problem mlp_;
  Bytes tokens_, mix_weight_, mix_bias_, norm1_weight_, norm1_bias_, norm2_weight_, norm2_bias_;
};

}  // namespace test
