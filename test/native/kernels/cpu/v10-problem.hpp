// TokenLearner v1.0 with random parameters: in memory for the kernels, and computed in double.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "kernels/cpu/token-learner-v10.hpp"
#include "v11-problem.hpp"

namespace test {

/** The images and LayerNorm are those of a V11Problem. */
class V10Problem {
 public:
  V10Problem(const V11Case& config, DType dtype, bool takes_mean = false)
      : config_(config), dtype_(dtype), takes_mean_(takes_mean), images_(config, dtype) {
    for (int i = 0; i < 4; ++i) {
      const std::int64_t inputs = inputs_of(i);
      convolutions_[i] =
          images_.draw(config.tokens * inputs * 9, 2 / std::sqrt(9.0 * static_cast<double>(inputs)));
    }
  }

  const V11Case& config() const { return config_; }
  V11Problem& images() { return images_; }
  const V11Problem& images() const { return images_; }

  TokenLearnerV10View view() const {
    const NormMlpView mlp = images_.view().mlp;
    TokenLearnerV10View view;
    view.channels = config_.channels;
    view.tokens = config_.tokens;
    view.dtype = dtype_;
    view.activation = config_.activation;
    view.takes_mean = takes_mean_;
    view.norm_weight = mlp.norm_weight;
    view.norm_bias = mlp.norm_bias;
    for (int i = 0; i < 4; ++i) view.convolutions[i] = convolutions_[i].data();
    return view;
  }

  RawResult run(Isa isa, Parallel& parallel, int threads, bool has_maps = true) const {
    RawResult raw = room_for(images_.token_count(), images_.attention_count(), dtype_);
    std::shared_ptr<const TokenLearnerV10Weights> packed;
    REQUIRE(TokenLearnerV10Weights::pack(view(), isa, packed) == Status::ok);
    const ForwardParams params =
        images_.images().params(raw.tokens.data(), has_maps ? raw.attention.data() : nullptr);
    CHECK(token_learner_v10_forward(std::span(&params, 1), *packed, parallel, threads) == Status::ok);
    check_ends(raw);
    return raw;
  }

  Result run_decoded(Isa isa) const {
    SerialParallel serial;
    const RawResult raw = run(isa, serial, 1);
    return {decode(raw.tokens, dtype_, images_.token_count()),
            decode(raw.attention, compute_dtype(dtype_), images_.attention_count())};
  }

  /** Tokens (B, C, G) and maps (B, G, P) in double. */
  Result reference() const {
    Result result;
    const std::int64_t pixels = config_.height * config_.width;
    for (std::int64_t b = 0; b < config_.batch; ++b) {
      std::vector<double> planes(static_cast<std::size_t>(config_.channels * pixels));
      for (std::int64_t p = 0; p < pixels; ++p) {
        const std::vector<double> n = images_.normed(b, p);
        for (std::size_t c = 0; c < n.size(); ++c)
          planes[c * static_cast<std::size_t>(pixels) + static_cast<std::size_t>(p)] = n[c];
      }
      for (int i = 0; i < 4; ++i) planes = convolved(planes, i);
      for (std::int64_t c = 0; c < config_.channels; ++c) {
        for (std::int64_t g = 0; g < config_.tokens; ++g) {
          double y = 0;
          for (std::int64_t p = 0; p < pixels; ++p)
            y += planes[static_cast<std::size_t>(g * pixels + p)] * images_.x(b, c, p);
          result.tokens.push_back(takes_mean_ ? y / static_cast<double>(pixels) : y);
        }
      }
      result.attention.insert(result.attention.end(), planes.begin(), planes.end());
    }
    return result;
  }

 private:
  std::int64_t inputs_of(int i) const { return i == 0 ? config_.channels : config_.tokens; }

  /** A 3x3 convolution, and the activation, or the sigmoid after the last one. */
  std::vector<double> convolved(const std::vector<double>& in, int i) const {
    const std::int64_t height = config_.height, width = config_.width, inputs = inputs_of(i);
    std::vector<double> out;
    for (std::int64_t g = 0; g < config_.tokens; ++g) {
      for (std::int64_t y = 0; y < height; ++y) {
        for (std::int64_t x = 0; x < width; ++x) {
          double sum = 0;
          for (std::int64_t c = 0; c < inputs; ++c) {
            for (std::int64_t tap = 0; tap < 9; ++tap) {
              const std::int64_t v = y + tap / 3 - 1, u = x + tap % 3 - 1;
              if (v < 0 || v >= height || u < 0 || u >= width) continue;
              sum += images_.at(convolutions_[i], (g * inputs + c) * 9 + tap) *
                     in[static_cast<std::size_t>((c * height + v) * width + u)];
            }
          }
          out.push_back(i == 3 ? 1 / (1 + std::exp(-sum)) : activate(config_.activation, sum));
        }
      }
    }
    return out;
  }

  V11Case config_;
  DType dtype_;
  bool takes_mean_;
  V11Problem images_;
  Bytes convolutions_[4];
};

}  // namespace test
