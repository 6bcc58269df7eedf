// Our CUDA kernels on tensors: they choose the kernels, own the packed weights, and turn statuses into
// errors. They do not verify anything: see fused-cuda.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "engine/token-learner/cuda-support.hpp"
#include "engine/token-learner/engine.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner {

/// The set of kernels that a forward uses.
struct KernelSet {
  kernels::cuda::Variant variant;
  /// True if channels are adjacent in memory. Then other kernels pack the pixels and compute the tokens.
  bool channels_last;
  /// True if the token product is divided into segments of pixels.
  bool segmented;

  bool operator<(const KernelSet& other) const {
    return std::tie(variant, channels_last, segmented) <
           std::tie(other.variant, other.channels_last, other.segmented);
  }
};

/// The kernels for one layer on one device. Any thread.
class FusedCudaKernels {
 public:
  FusedCudaKernels(const TokenLearnerConfig& config, const std::vector<Tensor>& parameters);
  ~FusedCudaKernels();

  kernels::cuda::Precision precision() const { return precision_; }
  /// With other pixels and another batch.
  kernels::cuda::CudaShape shape_of(int64_t batch, int64_t pixels) const;
  /// The kernels for an x (B, C, H, W).
  KernelSet set_for(const Tensor& x) const;
  kernels::cuda::Plan plan_for(const Tensor& x, kernels::cuda::Variant variant) const;

  /// Asynchronous on this thread's stream. The maps are float32. Throws Refused; ERR_OUT_OF_MEMORY,
  /// ERR_DEVICE_LOST or ERR_LIBTORCH.
  TokensAndMaps run(const kernels::cuda::Plan& plan, const Tensor& x, bool tokens_first) const;

 private:
  struct Packed;
  class StreamCounters;
  /// The weights in one format, packed at the first use.
  struct Format {
    std::mutex mutex;
    std::shared_ptr<const Packed> packed;  // Guarded by `mutex`.
  };

  std::shared_ptr<const Packed> packed_for(kernels::cuda::Variant variant) const;
  std::shared_ptr<const Packed> pack(kernels::cuda::Variant variant) const;

  TokenLearnerConfig config_;
  std::vector<Tensor> parameters_;
  Device device_;
  kernels::cuda::DeviceProperties properties_;
  kernels::cuda::Precision precision_ = kernels::cuda::Precision::float32;
  /// By WeightFormat.
  mutable std::array<Format, 2> formats_;
  std::unique_ptr<StreamCounters> counters_;
};

}  // namespace tokenlearner
