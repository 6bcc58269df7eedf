// Random layers and inputs, the oracle's answer, and PyTorch's arithmetic error to measure against.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

#include "kernels/cuda/tiling.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner::kernels::cuda::test {

struct Size {
  std::int64_t batch, channels, hidden, tokens, height, width;
  std::int64_t pixels() const { return height * width; }
  auto operator<=>(const Size&) const = default;
};

/** How x lies in memory. `cropped`: a view into larger rows. */
enum class Layout { channels_first, channels_last, cropped };

/** Values that the dtype holds exactly, so that all engines and the oracle start from the same numbers. */
class Problem {
 public:
  Problem(const Size& size, DType dtype, Layout layout, std::uint32_t seed);

  /** x, tokens and attention are left null. */
  ForwardParams params() const;
  /** `layers` must outlive the result. */
  WeightsView weights(LayerView (&layers)[2]) const;
  CudaShape shape() const;

  const std::vector<std::uint8_t>& x() const { return x_; }
  const std::vector<std::uint8_t>& weight(int i) const { return weights_[i]; }

  /** (B, G, P). */
  const std::vector<double>& attention() const { return attention_; }
  /** (B, C, G). */
  const std::vector<double>& tokens() const { return tokens_; }

  /** The relative L2 errors of PyTorch's own computation at this dtype, rounding where it rounds. */
  struct Errors {
    double attention, tokens;
  };
  Errors pytorch_errors(Precision precision) const;

 private:
  double x_at(std::int64_t image, std::int64_t channel, std::int64_t pixel) const;
  std::vector<float> weight_values(int which) const;
  /** (P, C). */
  std::vector<float> image_values(std::int64_t image) const;

  Size size_;
  DType dtype_;
  Layout layout_;
  std::vector<std::uint8_t> x_;
  std::vector<std::uint8_t> weights_[4];  // W1, b1, w2, b2
  std::vector<double> attention_, tokens_;
};

CudaShape shape_of(const Size& size);

double relative_error(const std::vector<double>& got, const std::vector<double>& expected);

/**
 * The largest relative error that a test accepts: twice PyTorch's measured error `pytorch`; in float32 at
 * least 2.5e-7 and at most 2e-6; in tf32 at least 2^-11.
 */
double allowed_error(Precision precision, double pytorch);

}  // namespace tokenlearner::kernels::cuda::test
