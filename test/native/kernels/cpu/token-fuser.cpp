// TokenFuser on the CPU: the numbers of the equations in double, and the same bits however it is run.
#include "kernels/cpu/token-fuser.hpp"

#include <doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "v11-problem.hpp"

namespace {

using namespace test;

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

  V11Problem& original() { return mlp_; }

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

void check(const V11Case& config, DType dtype, Isa isa, bool has_norms = true) {
  CAPTURE(config.channels);
  CAPTURE(config.height);
  CAPTURE(config.width);
  CAPTURE(dtype);
  const FuserProblem problem(config, dtype, has_norms);
  const Result exact = problem.reference();
  SerialParallel serial;
  const RawResult raw = problem.run(isa, serial, 1);
  CHECK(relative_error(decode(raw.tokens, dtype, problem.output_count()), exact.tokens) <= bar(dtype));
  const DType sums = compute_dtype(dtype);
  CHECK(relative_error(decode(raw.attention, sums, problem.attention_count()), exact.attention) <= bar(sums));
}

}  // namespace

TEST_SUITE("kernels/token-fuser") {
  TEST_CASE("the numbers of the equations") {
    for_each_isa([](Isa isa) {
      for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
        check({.batch = 2, .channels = 24, .height = 5, .width = 7}, dtype, isa);
        check({.batch = 2, .channels = 24, .height = 5, .width = 7}, dtype, isa, false);
        check({.channels = 129, .height = 9, .width = 9, .tokens = 5, .hidden = 33}, dtype, isa);
      }
    });
  }

  TEST_CASE("every size of the last panel; every number of channels") {
    for_each_isa([](Isa isa) {
      for (std::int64_t size = 1; size <= 100; ++size) {
        check({.channels = 5, .width = size, .tokens = 3, .hidden = 9}, DType::float32, isa);
        check({.channels = size + 2, .width = 3, .tokens = 3, .hidden = 9}, DType::float32, isa);
      }
    });
  }

  TEST_CASE("large images, many channels, many tokens, both activations") {
    for_each_isa([](Isa isa) {
      check({.channels = 7, .height = 41, .width = 83, .tokens = 3, .hidden = 10}, DType::float32, isa);
      check({.channels = 2000, .height = 3, .width = 50, .tokens = 17, .hidden = 8}, DType::float32, isa);
      check({.channels = 40, .height = 6, .width = 9, .activation = Activation::gelu_erf}, DType::float32,
            isa);
      check({.channels = 129, .height = 9, .width = 9, .offset = 100}, DType::float32, isa);
    });
  }

  TEST_CASE("neither threads nor the layouts change a bit") {
    ComputePool pool(4);
    for_each_isa([&](Isa isa) {
      const V11Case config{.batch = 3, .channels = 65, .height = 19, .width = 17, .tokens = 5};
      const std::size_t pixels = 19 * 17, channels = 65;
      SerialParallel serial;
      const FuserProblem problem(config, DType::float32);
      const RawResult one = problem.run(isa, serial, 1);
      for (int threads = 2; threads <= 4; ++threads) {
        const RawResult same = problem.run(isa, pool, threads);
        CHECK((one.tokens == same.tokens));
        CHECK((one.attention == same.attention));
      }
      const RawResult last = problem.run(isa, serial, 1, true);
      CHECK((one.attention == last.attention));
      std::size_t differ = 0;
      for (std::size_t b = 0; b < 3; ++b) {
        for (std::size_t c = 0; c < channels; ++c) {
          for (std::size_t p = 0; p < pixels; ++p)
            differ += std::memcmp(&one.tokens[4 * ((b * channels + c) * pixels + p)],
                                  &last.tokens[4 * ((b * pixels + p) * channels + c)], 4) != 0;
        }
      }
      CHECK(differ == 0);
    });
  }

  TEST_CASE("an image has the same bits alone, in a batch and in a list, with maps and without") {
    for_each_isa([](Isa isa) {
      const FuserProblem problem({.batch = 3, .channels = 24, .height = 11, .width = 13}, DType::float32);
      SerialParallel serial;
      const RawResult batch = problem.run(isa, serial, 1);
      std::shared_ptr<const TokenFuserWeights> packed;
      REQUIRE(TokenFuserWeights::pack(problem.view(), isa, packed) == Status::ok);
      std::vector<float> out(problem.output_count());
      std::vector<TokenFuserParams> list;
      for (std::int64_t b = 0; b < 3; ++b) {
        TokenFuserParams params = problem.params(out.data() + b * 24 * 143, nullptr, false);
        params.batch = 1;
        params.x = static_cast<const float*>(params.x) + b * params.x_batch_stride;
        params.tokens = static_cast<const float*>(params.tokens) + b * params.tokens_batch_stride;
        list.push_back(params);
      }
      CHECK(token_fuser_forward(list, *packed, serial, 1) == Status::ok);
      CHECK(std::memcmp(out.data(), batch.tokens.data(), out.size() * 4) == 0);
    });
  }

  TEST_CASE("NaN and infinity stay in their pixel") {
    for_each_isa([](Isa isa) {
      for (const float special : {NAN, INFINITY, -INFINITY}) {
        FuserProblem problem({.batch = 1, .channels = 9, .height = 4, .width = 5}, DType::float32);
        reinterpret_cast<float*>(problem.original().images().x().data())[3 * 20 + 7] = special;
        SerialParallel serial;
        const RawResult raw = problem.run(isa, serial, 1);
        const std::vector<double> out = decode(raw.tokens, DType::float32, problem.output_count());
        for (std::size_t i = 0; i < out.size(); ++i) CHECK(std::isnan(out[i]) == (i % 20 == 7));
      }
    });
  }

  TEST_CASE("arguments that it cannot compute") {
    const FuserProblem problem({.channels = 4}, DType::float32);
    std::shared_ptr<const TokenFuserWeights> packed;
    TokenFuserView view = problem.view();
    view.norm2_bias = nullptr;
    CHECK(TokenFuserWeights::pack(view, best_isa(), packed) == Status::invalid_argument);
    view = problem.view();
    view.mix_weight = nullptr;
    CHECK(TokenFuserWeights::pack(view, best_isa(), packed) == Status::invalid_argument);
    REQUIRE(TokenFuserWeights::pack(problem.view(), best_isa(), packed) == Status::ok);
    float y[4];
    TokenFuserParams params = problem.params(y, nullptr, false);
    SerialParallel serial;
    params.tokens = nullptr;
    CHECK(token_fuser_forward(std::span(&params, 1), *packed, serial, 1) == Status::invalid_argument);
    params.dtype = DType::float64;
    params.tokens = y;
    CHECK(token_fuser_forward(std::span(&params, 1), *packed, serial, 1) == Status::unsupported);
    params.batch = 0;
    params.dtype = DType::float32;
    CHECK(token_fuser_forward(std::span(&params, 1), *packed, serial, 1) == Status::ok);
  }
}
