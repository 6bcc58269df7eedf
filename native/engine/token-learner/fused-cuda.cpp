// The fused engine for CUDA: it verifies our kernels, uses them, and falls back where it may.
//
// Note: [Trust, but verify]
// The device, the precision and the shape decide which kernels run. Before an engine uses a set of kernels
// for the first time, it compares them with the documented computation on libtorch, in float32, on small
// random images and with the model's own weights. A batch of three images runs with the plans that forwards
// use: hidden rows whole and divided, in one pass and in several (kernels/cuda/verification.hpp). All plans
// must give the same bits, since an image has the same bits in every batch: Note [Bits that do not depend on
// the batch]. If kernels are wrong on some device, or if the device has no code or too few resources for
// them, 'fused' throws an error and 'auto' uses grouped-conv. The user never gets wrong tokens, and
// runtime.info() lists the kernels.
//
// A verification takes at most kVerificationBytes of device memory; cuDNN's own memory is extra. The
// documented computation takes the layer in slices for that. Where the memory runs out, 'fused' throws
// ERR_OUT_OF_MEMORY; 'auto' uses grouped-conv for the next 100 forwards and then tries again.
// Every other failure is an error. Forwards with other kernels do not wait for a verification. Those with
// the same kernels do.

#include <cmath>
#include <memory>
#include <mutex>

#include "engine/run/op.hpp"
#include "engine/token-learner/documented.hpp"
#include "engine/token-learner/engine.hpp"
#include "engine/token-learner/few-map-values.hpp"
#include "engine/token-learner/fused-cuda-kernels.hpp"
#include "engine/token-learner/verified-kernels.hpp"
#include "engine/torch/aten.hpp"
#include "kernels/cuda/verification.hpp"

namespace tokenlearner {

namespace {

namespace cuda = kernels::cuda;

class FusedCudaEngine final : public TokenLearnerEngine {
 public:
  FusedCudaEngine(const TokenLearnerConfig& config, std::vector<Tensor> parameters)
      : config_(config),
        parameters_(std::move(parameters)),
        device_(parameters_[0].device()),
        literal_(make_grouped_conv_engine(config, parameters_)),
        kernels_(config, parameters_),
        verified_(device_, config.engine == "fused", "grouped-conv") {}

  TokensAndMaps run(const Tensor& x, const ForwardOptions& options) const override {
    if (has_few_map_values(config_, x)) {
      const Tensor wide = aten::to_copy(x, DType::float64, device_);
      return converted(wide_literal().run(wide, options), x.dtype, options);
    }
    const KernelSet set = kernels_.set_for(x);
    if (!verified_.is_usable(set, kernel_of(set), [&] { verify(set); })) return literal_->run(x, options);
    try {
      return run_fused(set, x, options);
    } catch (const Refused& refused) {
      // Only this shape is refused: the same kernels have run before.
      verified_.refuse(kernel_of(set), refused.what());
    }
    return literal_->run(x, options);
  }

 private:
  /// See Note [Few map values]. Made at the first use.
  const TokenLearnerEngine& wide_literal() const {
    std::call_once(widened_, [this] {
      wide_literal_ = make_grouped_conv_engine(config_, place(parameters_, {DType::float64, device_}));
    });
    return *wide_literal_;
  }

  TokensAndMaps run_fused(const KernelSet& set, const Tensor& x, const ForwardOptions& options) const {
    return converted(kernels_.run(kernels_.plan_for(x, set.variant), x, options.tokens_first), x.dtype,
                     options);
  }

  /// The outputs that the caller uses, in its dtype.
  TokensAndMaps converted(TokensAndMaps result, DType dtype, const ForwardOptions& options) const {
    if (result.tokens.dtype != dtype) result.tokens = aten::to_copy(result.tokens, dtype, device_);
    if (options.return_attention && result.maps.dtype != dtype)
      result.maps = aten::to_copy(result.maps, dtype, device_);
    return result;
  }

  std::string kernel_of(const KernelSet& set) const {
    return std::string(name_of(set.variant)) + " " + name_of(kernels_.precision());
  }

  /// See Note [Trust, but verify]. Throws Refused if the kernels are wrong or cannot run.
  void verify(const KernelSet& set) const {
    const cuda::Precision precision = kernels_.precision();
    const cuda::Verification how =
        cuda::plan_verification(kernels_.shape_of(1, 1), precision, set.variant, set.segmented);
    const DType dtype = parameters_[0].dtype;
    const Tensor x =
        random_images({how.batch, config_.dim, how.height, how.width}, set.channels_last, dtype, device_);
    std::vector<cuda::Answer> answers;
    for (const cuda::Plan& plan : how.plans) answers.push_back(answer_of(kernels_.run(plan, x, false)));

    TokenLearnerConfig exact_config = config_;
    exact_config.allow_tf32 = false;
    const cuda::Answer exact = documented_answer(exact_config, parameters_, x, DType::float32, how);
    cuda::Verdict verdict = cuda::judge(answers, exact, cuda::verification_bound(precision));
    if (verdict == cuda::Verdict::exact_differs) {
      const double theirs = cuda::error_of(documented_answer(config_, parameters_, x, dtype, how), exact);
      if (std::isfinite(theirs)) verdict = cuda::judge(answers, exact, kTimesLiteral * theirs);
    }
    if (verdict != cuda::Verdict::agrees)
      throw Refused(refusal_of(verdict, "grouped-conv", !cuda::has_non_finite(exact)));
  }

  TokenLearnerConfig config_;
  std::vector<Tensor> parameters_;
  Device device_;
  std::unique_ptr<TokenLearnerEngine> literal_;
  FusedCudaKernels kernels_;
  mutable std::once_flag widened_;
  mutable std::unique_ptr<TokenLearnerEngine> wide_literal_;
  VerifiedKernels<KernelSet> verified_;
};

}  // namespace

std::unique_ptr<TokenLearnerEngine> make_fused_cuda_engine(const TokenLearnerConfig& config,
                                                           const std::vector<Tensor>& parameters) {
  return std::make_unique<FusedCudaEngine>(config, parameters);
}

}  // namespace tokenlearner
