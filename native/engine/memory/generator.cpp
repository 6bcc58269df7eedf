#include "engine/memory/generator.hpp"

#include <cmath>
#include <numbers>
#include <string>

#include "engine/error.hpp"

namespace tokenlearner {

namespace {

// From this number of elements on, PyTorch uses the blockwise method instead of the scalar one.
constexpr int64_t kBlock = 16;

/// Box-Muller in place, on sixteen uniform numbers. The first eight give the radii, the last eight the
/// angles.
template <typename T>
void normal_block(T* data) {
  for (int64_t j = 0; j < kBlock / 2; ++j) {
    const T u1 = 1 - data[j];  // In (0, 1], so the logarithm is finite.
    const T u2 = data[j + kBlock / 2];
    const T radius = std::sqrt(T(-2) * std::log(u1));
    const T theta = T(2) * std::numbers::pi_v<T> * u2;
    data[j] = radius * std::cos(theta);
    data[j + kBlock / 2] = radius * std::sin(theta);
  }
}

/// The uniform numbers of the first round, for n normal ones, at least kBlock. A rest of less than a block is drawn only for a dtype of
/// 32 or 64 bits, though the last block draws it again.
int64_t first_draws(int64_t n, DType dtype) { return item_size(dtype) < 4 ? n - n % kBlock : n; }

}  // namespace

void Generator::manual_seed(uint64_t seed) {
  engine_.seed(static_cast<uint32_t>(seed));
  next_normal_.reset();
}

uint64_t Generator::random64() {
  const uint64_t high = random();
  return high << 32 | random();
}

float Generator::uniform_float() { return static_cast<float>(random() & ((1u << 24) - 1)) * 0x1p-24f; }

double Generator::uniform_double() {
  return static_cast<double>(random64() & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
}

template <>
float Generator::uniform_unit<float>() {
  return uniform_float();
}

template <>
double Generator::uniform_unit<double>() {
  return uniform_double();
}

template <typename T>
void Generator::fill_uniform(T* data, int64_t n, T from, T to) {
  // PyTorch's compilers turn the scaling into one fused multiply-add. Without it the last bit would differ.
  for (int64_t i = 0; i < n; ++i) data[i] = std::fma(uniform_unit<T>(), to - from, from);
}

double Generator::normal_double() {
  if (next_normal_) {
    const double value = *next_normal_;
    next_normal_.reset();
    return value;
  }
  const double u1 = uniform_double();
  const double u2 = uniform_double();
  const double radius = std::sqrt(-2.0 * std::log1p(-u2));
  const double theta = 2.0 * std::numbers::pi * u1;
  next_normal_ = radius * std::sin(theta);
  return radius * std::cos(theta);
}

template <typename T>
void Generator::fill_normal(T* data, int64_t n, DType dtype) {
  if (n < kBlock) {
    for (int64_t i = 0; i < n; ++i) data[i] = static_cast<T>(normal_double());
    return;
  }
  fill_uniform<T>(data, first_draws(n, dtype), 0, 1);
  for (int64_t i = 0; i + kBlock <= n; i += kBlock) normal_block(data + i);
  if (n % kBlock != 0) {
    // The last block overlaps the previous one. It is drawn again, as in PyTorch.
    fill_uniform<T>(data + n - kBlock, kBlock, 0, 1);
    normal_block(data + n - kBlock);
  }
}

namespace {

/// Calls `fill` with the tensor's elements as float* or double*.
template <typename F>
void with_floats(const Tensor& target, F&& fill) {
  if (target.dtype == DType::float32) return fill(reinterpret_cast<float*>(target.data()));
  if (target.dtype == DType::float64) return fill(reinterpret_cast<double*>(target.data()));
  throw Error(ErrorCode::ERR_DTYPE_MISMATCH,
              std::string("Random numbers are drawn in float32 or float64, not in ") + name_of(target.dtype));
}

}  // namespace

void Generator::uniform(const Tensor& target, double from, double to) {
  with_floats(target, [&]<typename T>(T* data) {
    fill_uniform(data, target.numel(), static_cast<T>(from), static_cast<T>(to));
  });
}

void Generator::normal(const Tensor& target, DType dtype) {
  with_floats(target, [&](auto* data) { fill_normal(data, target.numel(), dtype); });
}

void Generator::skip_uniform(int64_t n, DType dtype) {
  // A float64 takes two random words.
  engine_.discard(static_cast<uint64_t>(n) * (dtype == DType::float64 ? 2 : 1));
}

void Generator::skip_normal(int64_t n, DType dtype) {
  if (n < kBlock) {
    for (int64_t i = 0; i < n; ++i) normal_double();
    return;
  }
  skip_uniform(first_draws(n, dtype) + (n % kBlock == 0 ? 0 : kBlock), dtype);
}

}  // namespace tokenlearner
