#include "kernels/cpu/image-resize.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <new>

namespace tokenlearner::kernels {
namespace {

// Note: [Pillow's arithmetic]
// A pixel of the result is a weighted sum of the pixels in reach of the filter, whose width grows with the
// factor of a reduction (antialiasing). The weights are computed in double and normalised to the sum 1. Then
// they are rounded to fixed point with 22 bits. The rows are reduced first and rounded to bytes, then the
// columns. All of it is that of Pillow's Resample.c, so the bytes are the same. This file is compiled without
// contraction to fused multiply-adds, which would change weights.

constexpr int kPrecisionBits = 32 - 8 - 2;
constexpr std::int32_t kHalf = 1 << (kPrecisionBits - 1);

double bilinear(double x) {
  x = std::fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

/** The weights of the results [first, first + count) of one dimension. */
class Weights {
 public:
  /** False if there is no memory. */
  bool compute(std::int64_t size, std::int64_t resized, std::int64_t first, std::int64_t count,
               Interpolation interpolation) {
    const double scale = static_cast<double>(size) / static_cast<double>(resized);
    const double filter_scale = std::max(scale, 1.0);
    const double support = (interpolation == Interpolation::bilinear ? 1.0 : 2.0) * filter_scale;
    const auto filter = interpolation == Interpolation::bilinear ? bilinear : bicubic;
    stride_ = static_cast<std::int64_t>(std::ceil(support)) * 2 + 1;
    spans_.reset(new (std::nothrow) Span[static_cast<std::size_t>(count)]);
    fixed_.reset(new (std::nothrow) std::int32_t[static_cast<std::size_t>(count * stride_)]);
    const std::unique_ptr<double[]> exact(new (std::nothrow) double[static_cast<std::size_t>(stride_)]);
    if (spans_ == nullptr || fixed_ == nullptr || exact == nullptr) return false;
    for (std::int64_t i = 0; i < count; ++i) {
      const double center = (static_cast<double>(first + i) + 0.5) * scale;
      const auto begin = std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
      const auto end = std::min(static_cast<std::int64_t>(center + support + 0.5), size);
      spans_[i] = {begin, end - begin};
      double sum = 0.0;
      for (std::int64_t k = 0; k < end - begin; ++k) {
        exact[k] = filter((static_cast<double>(k + begin) - center + 0.5) * (1.0 / filter_scale));
        sum += exact[k];
      }
      for (std::int64_t k = 0; k < end - begin; ++k)
        fixed_[i * stride_ + k] = to_fixed(sum == 0.0 ? exact[k] : exact[k] / sum);
    }
    return true;
  }

  struct Span {
    /** The first pixel that has a weight, and the number of pixels that have one. */
    std::int64_t begin;
    std::int64_t count;
  };
  const Span& span(std::int64_t i) const { return spans_[i]; }
  const std::int32_t* of(std::int64_t i) const { return &fixed_[i * stride_]; }

 private:
  static std::int32_t to_fixed(double weight) {
    const double scaled = weight * (1 << kPrecisionBits);
    return static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  }

  std::int64_t stride_ = 0;
  std::unique_ptr<Span[]> spans_;
  std::unique_ptr<std::int32_t[]> fixed_;
};

std::uint8_t to_byte(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

template <int kColors>
void resize_row(const std::uint8_t* row, int channels, const Weights& weights, std::int64_t count,
                std::uint8_t* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    const auto [begin, taps] = weights.span(i);
    const std::int32_t* weight = weights.of(i);
    const std::uint8_t* pixel = row + begin * channels;
    std::int32_t sum[kColors];
    std::fill_n(sum, kColors, kHalf);
    for (std::int64_t k = 0; k < taps; ++k, pixel += channels) {
      for (int c = 0; c < kColors; ++c) sum[c] += pixel[c] * weight[k];
    }
    for (int c = 0; c < kColors; ++c) *out++ = to_byte(sum[c]);
  }
}

/** One row of the result: the weighted sum of `taps` rows of `bytes` bytes. */
void reduce_rows(const std::uint8_t* rows, std::int64_t bytes, const std::int32_t* weight, std::int64_t taps,
                 std::uint8_t* out) {
  // The sums of a chunk stay in the level-1 cache.
  constexpr std::int64_t kChunk = 512;
  std::int32_t sums[kChunk];
  for (std::int64_t done = 0; done < bytes; done += kChunk) {
    const std::int64_t count = std::min(kChunk, bytes - done);
    std::fill_n(sums, count, kHalf);
    for (std::int64_t k = 0; k < taps; ++k) {
      const std::uint8_t* row = rows + k * bytes + done;
      for (std::int64_t i = 0; i < count; ++i) sums[i] += row[i] * weight[k];
    }
    for (std::int64_t i = 0; i < count; ++i) out[done + i] = to_byte(sums[i]);
  }
}

}  // namespace

Status resize(const ResizeParams& params) noexcept {
  const Window& window = params.window;
  Weights across;
  Weights down;
  if (!across.compute(params.width, params.resized_width, window.left, window.width, params.interpolation) ||
      !down.compute(params.height, params.resized_height, window.top, window.height, params.interpolation))
    return Status::out_of_memory;
  // Only the rows that the second pass reads.
  const std::int64_t first = down.span(0).begin;
  const Weights::Span last = down.span(window.height - 1);
  const std::int64_t rows = last.begin + last.count - first;
  const std::int64_t bytes = window.width * params.colors;
  const std::unique_ptr<std::uint8_t[]> reduced(new (std::nothrow)
                                                    std::uint8_t[static_cast<std::size_t>(rows * bytes)]);
  if (reduced == nullptr) return Status::out_of_memory;
  const auto row = params.colors == 1 ? resize_row<1> : resize_row<3>;
  for (std::int64_t y = 0; y < rows; ++y) {
    row(params.pixels + (first + y) * params.width * params.channels, params.channels, across, window.width,
        &reduced[y * bytes]);
  }
  for (std::int64_t y = 0; y < window.height; ++y) {
    const auto [begin, taps] = down.span(y);
    reduce_rows(&reduced[(begin - first) * bytes], bytes, down.of(y), taps, params.out + y * bytes);
  }
  return Status::ok;
}

}  // namespace tokenlearner::kernels
