// Which sets of CUDA kernels an engine may use: each is verified at its first use. See Note [Trust, but verify] in
// fused-cuda.cpp.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "engine/cuda/refusals.hpp"
#include "engine/token-learner/cuda-support.hpp"
#include "engine/torch/aten.hpp"
#include "kernels/cuda/verification.hpp"

namespace tokenlearner {

/// If the weights cancel, a verification's error may also be this many times libtorch's own.
inline constexpr double kTimesLiteral = 4;

/// The reason why kernels with this verdict are not used. `finite`: engine `other` gives only finite numbers.
inline std::string refusal_of(kernels::cuda::Verdict verdict, const std::string& other, bool finite) {
  const std::string found = verdict == kernels::cuda::Verdict::plans_differ
                                ? "their results depend on the batch or on the division of the work"
                                : "their results disagree with " + other + "'s";
  return found + (finite ? "; please report the device" : ", where the weights give NaN or infinity");
}

/// x of a shape (B, C, H, W). Either pixels or channels are adjacent in memory.
inline Tensor random_images(const Dims& shape, bool channels_last, DType dtype, Device device) {
  if (!channels_last) return aten::randn(shape, dtype, device);
  const int64_t channels = shape[1], height = shape[2], width = shape[3];
  Tensor x = aten::randn({shape[0], height, width, channels}, dtype, device);
  x.shape = shape;
  x.strides = {height * width * channels, 1, width * channels, channels};
  return x;
}

/// `Set` names a set of kernels and has an order. Any thread.
template <typename Set>
class VerifiedKernels {
 public:
  /// `must` is true for engine 'fused'. `other` is the engine that 'auto' uses in the kernels' place.
  VerifiedKernels(Device device, bool must, std::string other)
      : device_(device), must_(must), other_(std::move(other)) {}

  /// True if the kernels are verified, now or before. False if 'auto' must use the other engine. `verify` throws Refused if they
  /// are wrong or cannot run. `name` is for people.
  template <typename Verify>
  bool is_usable(const Set& set, const std::string& name, const Verify& verify) const {
    Use& use = use_of(set);
    const std::lock_guard lock(use.mutex);
    if (!use.verified && use.refusal.empty()) verify_in(use, name, verify);
    if (!use.refusal.empty()) throw_if_must(name, use.refusal);
    return use.verified;
  }

  /// Lists the refusal for runtime.info(). Throws ERR_ENGINE_UNSUPPORTED for engine 'fused'.
  void refuse(const std::string& name, const std::string& reason) const {
    note_refusal(device_, {name, reason});
    throw_if_must(name, reason);
  }

 private:
  /// Each attempt without memory makes libtorch give its cached memory back, which slows down all lanes.
  static constexpr int kForwardsUntilRetry = 100;

  /// The result of a set of kernels' verification.
  struct Use {
    std::mutex mutex;
    // Guarded by `mutex`:
    bool verified = false;
    std::string refusal;  // Not empty if they are never used.
    int forwards_until_retry = 0;
  };

  void throw_if_must(const std::string& name, const std::string& reason) const {
    if (!must_) return;
    throw Error(ErrorCode::ERR_ENGINE_UNSUPPORTED,
                "The fused CUDA kernels '" + name + "' cannot be used on " + device_.to_string() + ": " +
                    reason + ". Engine 'auto' uses '" + other_ + "' in their place");
  }

  Use& use_of(const Set& set) const {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Use>& use = uses_[set];
    if (use == nullptr) use = std::make_unique<Use>();
    return *use;
  }

  /// Precondition: use.mutex is held.
  template <typename Verify>
  void verify_in(Use& use, const std::string& name, const Verify& verify) const {
    if (use.forwards_until_retry > 0) {
      --use.forwards_until_retry;
      return;
    }
    try {
      verify();
      use.verified = true;
    } catch (const Refused& refused) {
      use.refusal = refused.what();
      note_refusal(device_, {name, use.refusal});
    } catch (const Error& error) {
      if (must_ || error.code() != ErrorCode::ERR_OUT_OF_MEMORY) throw;
      use.forwards_until_retry = kForwardsUntilRetry;
    }
  }

  Device device_;
  bool must_;
  std::string other_;
  mutable std::mutex mutex_;
  mutable std::map<Set, std::unique_ptr<Use>> uses_;  // Guarded by mutex_.
};

}  // namespace tokenlearner
