#pragma once

#include <cstdint>
#include <optional>

#include "engine/memory/mt19937.hpp"
#include "engine/memory/tensor.hpp"

namespace tokenlearner {

/// PyTorch's CPU generator: a seed gives the same numbers as torch.manual_seed. Not thread-safe. There is one
/// per environment.
class Generator {
 public:
  explicit Generator(uint64_t seed) { manual_seed(seed); }

  /// Uses the low 32 bits of the seed, as PyTorch does.
  void manual_seed(uint64_t seed);

  /// Tensor.uniform_(from, to) on a contiguous float32 or float64 tensor in host memory. Same bits as
  /// PyTorch.
  void uniform(const Tensor& target, double from, double to);

  /// Tensor.normal_(0, 1) on such a tensor. It uses PyTorch's random stream and method. The last bits of a
  /// value may differ, because PyTorch's vectorised logarithm and cosine differ from the C library's.
  ///
  /// @param dtype - that of the tensor for which the numbers are. PyTorch draws fewer for one of 16 bits, in float32.
  void normal(const Tensor& target, DType dtype);
  void normal(const Tensor& target) { normal(target, target.dtype); }

  /// Moves on as uniform() or normal() with `n` elements for a tensor of `dtype` would, without the numbers: a fraction of a
  /// nanosecond for each.
  void skip_uniform(int64_t n, DType dtype);
  void skip_normal(int64_t n, DType dtype);

 private:
  uint32_t random() { return engine_(); }
  uint64_t random64();
  float uniform_float();
  double uniform_double();
  double normal_double();
  template <typename T>
  T uniform_unit();
  template <typename T>
  void fill_uniform(T* data, int64_t n, T from, T to);
  template <typename T>
  void fill_normal(T* data, int64_t n, DType dtype);

  Mt19937 engine_;
  // The second sample of the Box-Muller pair. Like PyTorch, it is kept for the next call.
  std::optional<double> next_normal_;
};

}  // namespace tokenlearner
