// Shared by the fused CUDA engines of the official layers: sets of kernels, parameters packed at the first use, and the engine of
// the layers that pool pixels to tokens. See Note [Trust, but verify] in fused-cuda.cpp.
#pragma once

#include <cmath>
#include <compare>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/cuda/stream.hpp"
#include "engine/token-learner/documented.hpp"
#include "engine/token-learner/engine.hpp"
#include "engine/token-learner/marshal.hpp"
#include "engine/token-learner/verified-kernels.hpp"
#include "kernels/cuda/device.hpp"
#include "kernels/cuda/norm-mlp-cuda.hpp"

namespace tokenlearner {

/// The set of kernels that a forward uses.
struct NormSet {
  /// True if a tile's pixels stay in shared memory.
  bool resident = true;
  /// True if channels are adjacent in memory.
  bool channels_last = false;
  /// True if an image has so many pixels that thread blocks take several tiles.
  bool long_images = false;

  auto operator<=>(const NormSet&) const = default;
};

/// A device and a precision for the parameters' dtype.
struct NormDevice {
  NormDevice(const std::vector<Tensor>& parameters, bool allow_tf32) : device(parameters[0].device()) {
    check_cuda(kernels::cuda::device_properties(device.index, &properties));
    check_cuda(kernels::cuda::choose_precision(parameters[0].dtype, allow_tf32, &precision));
  }

  Device device;
  kernels::cuda::DeviceProperties properties;
  kernels::cuda::Precision precision = kernels::cuda::Precision::float32;
};

/// Parameters packed in device memory at the first use. Any thread.
template <typename Weights>
class PackedOnce {
 public:
  /// `pack(bytes of the weights, Weights&)` starts the packing on this thread's stream.
  template <typename Pack>
  const Weights& get(std::size_t bytes, Device device, const Pack& pack) const {
    const std::lock_guard lock(mutex_);
    if (packed_ == nullptr) {
      auto packed = std::make_unique<Packed>(Packed{DeviceBytes(bytes, device), {}});
      check_cuda(pack(packed->buffer, packed->weights));
      // Other lanes will read it on their own streams.
      synchronize(device);
      packed_ = std::move(packed);
    }
    return packed_->weights;
  }

 private:
  struct Packed {
    DeviceBytes buffer;
    Weights weights;
  };
  mutable std::mutex mutex_;
  mutable std::unique_ptr<const Packed> packed_;  // Guarded by mutex_; it stays once it is there.
};

inline std::vector<Tensor> in_dtype(const std::vector<Tensor>& tensors, DType dtype) {
  std::vector<Tensor> result;
  for (const Tensor& tensor : tensors)
    result.push_back(tensor.dtype == dtype ? tensor : aten::to_copy(tensor, dtype, tensor.device()));
  return result;
}

/// Throws Refused if the answers have different bits, or differ from libtorch's. `documented(dtype)` computes those of the same
/// images.
template <typename Documented>
void judge_norm_kernels(const std::vector<kernels::cuda::Answer>& answers, DType dtype,
                        kernels::cuda::Precision precision, const Documented& documented) {
  namespace cuda = kernels::cuda;
  const cuda::Answer exact = documented(DType::float32);
  cuda::Verdict verdict = cuda::judge(answers, exact, cuda::verification_bound(precision));
  if (verdict == cuda::Verdict::exact_differs) {
    const double theirs = cuda::error_of(documented(dtype), exact);
    if (std::isfinite(theirs)) verdict = cuda::judge(answers, exact, kTimesLiteral * theirs);
  }
  if (verdict != cuda::Verdict::agrees)
    throw Refused(refusal_of(verdict, "libtorch", !cuda::has_non_finite(exact)));
}

/// The images of a verification, (B, H, W): of sizes that no tile divides, and with a whole tile and several.
inline Dims verification_images(const NormSet& set) {
  return set.long_images ? Dims{2, 33, 32} : Dims{3, 5, 13};
}

/// Memory for tokens, and for float32 maps if the options ask for them.
inline TokensAndMaps empty_outputs(const Tensor& x, int64_t tokens, const ForwardOptions& options,
                                   Device device) {
  const int64_t batch = x.shape[0], channels = x.shape[1];
  TokensAndMaps result;
  result.tokens =
      aten::empty(options.tokens_first ? Dims{batch, tokens, channels} : Dims{batch, channels, tokens},
                  x.dtype, device, false);
  if (options.return_attention)
    result.maps = aten::empty({batch, tokens, x.shape[2], x.shape[3]}, DType::float32, device, false);
  return result;
}

/// A fused CUDA engine of a layer that pools pixels to tokens. `Kernels` has:
///   norm (a NormDevice), config, parameters, name()
///   set_for(x), plan_for(x)
///   weights(), packed at the first use, and forward, the kernels' function that takes them
///   documented(parameters) -> the engine on libtorch
template <typename Kernels>
class FusedCudaPoolingEngine final : public TokenLearnerEngine {
 public:
  /// Constructs its kernels of the same arguments. `must` is true for engine 'fused'.
  template <typename... Args>
  explicit FusedCudaPoolingEngine(bool must, const Args&... args)
      : kernels_(args...),
        documented_(kernels_.documented(kernels_.parameters)),
        verified_(kernels_.norm.device, must, "libtorch") {}

  TokensAndMaps run(const Tensor& x, const ForwardOptions& options) const override {
    const NormSet set = kernels_.set_for(x);
    if (!verified_.is_usable(set, kernels_.name(), [&] { verify(set, x.shape[1]); }))
      return documented_->run(x, options);
    try {
      TokensAndMaps result = run_kernels(x, options, 0);
      if (options.return_attention && result.maps.dtype != x.dtype)
        result.maps = aten::to_copy(result.maps, x.dtype, kernels_.norm.device);
      return result;
    } catch (const Refused& refused) {
      // Only this shape is refused: the same kernels have run before.
      verified_.refuse(kernels_.name(), refused.what());
    }
    return documented_->run(x, options);
  }

 private:
  /// Tokens in x's dtype, and float32 maps if the options ask for them. `images_per_pass`: 0 for the plan's.
  TokensAndMaps run_kernels(const Tensor& x, const ForwardOptions& options, int64_t images_per_pass) const {
    const Device device = kernels_.norm.device;
    const TokensAndMaps result = empty_outputs(x, kernels_.config.num_output_tokens, options, device);
    if (x.shape[0] == 0) return result;
    kernels::cuda::NormPlan plan = kernels_.plan_for(x);
    if (images_per_pass > 0) plan.images_per_pass = images_per_pass;
    const auto& weights = kernels_.weights();
    const DeviceBytes workspace(plan.workspace_bytes, device);
    check_cuda(kernels_.forward(forward_params(x, result.maps, result.tokens, options.tokens_first), weights,
                                plan, workspace.data, workspace.size, current_stream(device)));
    return result;
  }

  void verify(const NormSet& set, int64_t channels) const {
    const ForwardOptions with_maps{.return_attention = true, .tokens_first = false, .call = nullptr};
    const Dims images = verification_images(set);
    const DType dtype = kernels_.parameters[0].dtype;
    const Tensor x = random_images({images[0], channels, images[1], images[2]}, set.channels_last, dtype,
                                   kernels_.norm.device);
    const std::vector<kernels::cuda::Answer> answers{answer_of(run_kernels(x, with_maps, 0)),
                                                     answer_of(run_kernels(x, with_maps, 1))};
    judge_norm_kernels(answers, dtype, kernels_.norm.precision, [&](DType in) {
      const auto engine = kernels_.documented(in_dtype(kernels_.parameters, in));
      return answer_of(engine->run(in_dtype({x}, in)[0], with_maps));
    });
  }

  Kernels kernels_;
  std::unique_ptr<TokenLearnerEngine> documented_;
  VerifiedKernels<NormSet> verified_;
};

}  // namespace tokenlearner
