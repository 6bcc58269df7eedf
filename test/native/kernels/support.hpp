// What the kernels' tests share: checks, random layers and images, and the oracle's answer.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/compute-pool.hpp"
#include "kernels/cpu/fused.hpp"
#include "kernels/cpu/reference.hpp"

namespace test {

using namespace tokenlearner::kernels;

inline int failures = 0;

#define CHECK(condition, ...)                                               \
  do {                                                                      \
    if (!(condition)) {                                                     \
      ++test::failures;                                                     \
      std::printf("%s:%d: not true: %s  ", __FILE__, __LINE__, #condition); \
      std::printf(__VA_ARGS__);                                             \
      std::printf("\n");                                                    \
    }                                                                       \
  } while (false)

inline int finish() {
  std::printf(failures == 0 ? "all passed\n" : "%d failed\n", failures);
  return failures == 0 ? 0 : 1;
}

/** How x lies in memory. `padded` is channels-first with gaps after rows, channels and images. */
enum class Layout { channels_first, channels_last, padded };

struct Case {
  std::int64_t batch = 1;
  std::int64_t channels = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;
  std::int64_t tokens = 1;
  std::int64_t ff = 2;
  Layout layout = Layout::channels_first;
  double magnitude = 1;

  std::int64_t pixels() const { return height * width; }
  std::int64_t hidden() const { return ff * channels; }
  std::string name() const {
    char text[160];
    std::snprintf(text, sizeof text, "B %d C %d %dx%d G %d ff %d layout %d magnitude %g", int(batch),
                  int(channels), int(height), int(width), int(tokens), int(ff), int(layout), magnitude);
    return text;
  }
};

/** Bytes of `values` in `dtype`, rounded to it. */
inline std::vector<unsigned char> encode(const std::vector<double>& values, DType dtype) {
  std::vector<unsigned char> bytes(values.size() * size_of(dtype) + 1);
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

/** A layer initialised as PyTorch's Conv2d, and an image batch of N(0, magnitude^2). */
class Problem {
 public:
  Problem(const Case& config, DType dtype, unsigned seed = 1)
      : config_(config), dtype_(dtype), random_(seed) {
    const auto fan_in = [](std::int64_t n) { return 1.0 / std::sqrt(static_cast<double>(n)); };
    const std::int64_t rows = config.tokens * config.hidden();
    w1_ = uniform(rows * config.channels, fan_in(config.channels));
    b1_ = uniform(rows, fan_in(config.channels));
    w2_ = uniform(rows, fan_in(config.hidden()));
    b2_ = uniform(config.tokens, fan_in(config.hidden()));
    layers_[0] = {w1_.data(), b1_.data()};
    layers_[1] = {w2_.data(), b2_.data()};
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
    return {config_.channels, config_.hidden(), config_.tokens, 2, dtype_, layers_};
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
  std::vector<unsigned char> w1_, b1_, w2_, b2_, x_;
  LayerView layers_[2];
  std::int64_t strides_[4] = {};
  std::int64_t span_ = 0;
};

struct Result {
  std::vector<double> tokens;
  std::vector<double> attention;
};

inline Result run_reference(const Problem& problem, bool tokens_first = false) {
  Result result{std::vector<double>(problem.token_count() + 1),
                std::vector<double>(problem.attention_count() + 1)};
  const Status status = reference_forward(
      problem.params(result.tokens.data(), result.attention.data(), tokens_first), problem.weights());
  CHECK(status == Status::ok, "reference: %s", name_of(status));
  result.tokens.resize(problem.token_count());
  result.attention.resize(problem.attention_count());
  return result;
}

/** The bytes, so that results can be compared bit for bit. */
struct RawResult {
  std::vector<unsigned char> tokens;
  std::vector<unsigned char> attention;
};

inline RawResult run_fused_raw(const Problem& problem, Isa isa, Parallel& parallel, int max_threads,
                               bool tokens_first = false) {
  // Outputs begin as NaN, so that an element that is not written shows.
  RawResult raw;
  raw.tokens.assign(problem.token_count() * size_of(problem.dtype()) + 1, 0xff);
  raw.attention.assign(problem.attention_count() * size_of(compute_dtype(problem.dtype())) + 1, 0xff);
  std::shared_ptr<const PackedWeights> packed;
  const Status packing = PackedWeights::pack(problem.weights(), isa, packed);
  CHECK(packing == Status::ok, "pack: %s", name_of(packing));
  const Status status = fused_forward(problem.params(raw.tokens.data(), raw.attention.data(), tokens_first),
                                      *packed, parallel, max_threads);
  CHECK(status == Status::ok, "fused: %s", name_of(status));
  CHECK(raw.tokens.back() == 0xff && raw.attention.back() == 0xff, "wrote past the end");
  return raw;
}

inline Result run_fused(const Problem& problem, Isa isa, bool tokens_first = false) {
  SerialParallel serial;
  const RawResult raw = run_fused_raw(problem, isa, serial, 1, tokens_first);
  return {decode(raw.tokens, problem.dtype(), problem.token_count()),
          decode(raw.attention, compute_dtype(problem.dtype()), problem.attention_count())};
}

/** ||actual - expected|| / ||expected||; infinite where a NaN stands on one side only. */
inline double relative_error(const std::vector<double>& actual, const std::vector<double>& expected) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(actual[i]) != std::isnan(expected[i])) return INFINITY;
    if (std::isnan(expected[i])) continue;
    difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

}  // namespace test
