// The fused engine of TokenFuser for CUDA. It verifies our kernels, uses them, and falls back where it may: Note [Trust, but
// verify] in token-learner/fused-cuda.cpp.

#include "engine/cuda/stream.hpp"
#include "engine/token-fuser/marshal.hpp"
#include "engine/token-learner/fused-cuda-norm.hpp"
#include "kernels/cuda/token-fuser-cuda.hpp"

namespace tokenlearner {

namespace {

namespace cuda = kernels::cuda;

/// The set of kernels that a forward uses.
struct FuserSet {
  NormSet original;
  bool out_channels_last = false;

  auto operator<=>(const FuserSet&) const = default;
};

cuda::Answer answer_of(const OutputAndMaps& result) {
  return answer_of(TokensAndMaps{result.output, result.maps});
}

class FusedCudaFuserEngine final : public TokenFuserEngine {
 public:
  FusedCudaFuserEngine(const TokenFuserConfig& config, const std::vector<Tensor>& parameters)
      : config_(config),
        parameters_(parameters),
        norm_(parameters, config.allow_tf32),
        documented_(make_libtorch_fuser_engine(config, parameters)),
        verified_(norm_.device, config.engine == "fused", "libtorch") {}

  OutputAndMaps run(const Tensor& tokens, const Tensor& original, bool channels_last,
                    const ForwardOptions& options) const override {
    const FuserSet set{{plan_for(original).resident,
                        cuda::is_channels_last(original.strides[1], original.strides[3]), false},
                       channels_last};
    if (!verified_.is_usable(set, name(), [&] { verify(set); }))
      return documented_->run(tokens, original, channels_last, options);
    try {
      OutputAndMaps result = run_kernels(tokens, original, channels_last, options.return_attention, 0);
      if (options.return_attention && result.maps.dtype != original.dtype)
        result.maps = aten::to_copy(result.maps, original.dtype, norm_.device);
      return result;
    } catch (const Refused& refused) {
      // Only this shape is refused: the same kernels have run before.
      verified_.refuse(name(), refused.what());
    }
    return documented_->run(tokens, original, channels_last, options);
  }

 private:
  std::string name() const { return std::string("fuser ") + name_of(norm_.precision); }

  cuda::NormPlan plan_for(const Tensor& original) const {
    const cuda::CudaShape shape{original.shape[0], config_.dim, config_.bottleneck_dim, config_.num_tokens,
                                original.shape[2] * original.shape[3]};
    return cuda::plan_token_fuser(shape, norm_.precision, norm_.properties);
  }

  const cuda::CudaTokenFuser& weights() const {
    const kernels::TokenFuserView view = fuser_view(config_, parameters_);
    return packed_.get(cuda::cuda_token_fuser_bytes(view, norm_.precision), norm_.device,
                       [&](const DeviceBytes& buffer, cuda::CudaTokenFuser& result) {
                         return cuda::cuda_pack_token_fuser(view, norm_.precision, buffer.data, buffer.size,
                                                            &result, current_stream(norm_.device));
                       });
  }

  /// `images_per_pass`: 0 for the plan's.
  OutputAndMaps run_kernels(const Tensor& tokens, const Tensor& original, bool channels_last, bool with_maps,
                            int64_t images_per_pass) const {
    const int64_t batch = original.shape[0], height = original.shape[2], width = original.shape[3];
    OutputAndMaps result;
    result.output = aten::empty(
        channels_last ? Dims{batch, height, width, config_.dim} : Dims{batch, config_.dim, height, width},
        original.dtype, norm_.device, false);
    if (with_maps) {
      result.maps =
          aten::empty({batch, config_.num_tokens, height, width}, DType::float32, norm_.device, false);
    }
    if (original.numel() == 0) return result;
    cuda::NormPlan plan = plan_for(original);
    if (images_per_pass > 0) plan.images_per_pass = images_per_pass;
    const cuda::CudaTokenFuser& fuser = weights();
    const DeviceBytes workspace(plan.workspace_bytes, norm_.device);
    check_cuda(cuda::cuda_token_fuser_forward(fuser_params(tokens, original, channels_last, result), fuser,
                                              plan, workspace.data, workspace.size,
                                              current_stream(norm_.device)));
    return result;
  }

  void verify(const FuserSet& set) const {
    const ForwardOptions with_maps{.return_attention = true, .tokens_first = false, .call = nullptr};
    const Dims images = verification_images(set.original);
    const DType dtype = parameters_[0].dtype;
    const Tensor tokens = aten::randn({images[0], config_.dim, config_.num_tokens}, dtype, norm_.device);
    const Tensor original = random_images({images[0], config_.dim, images[1], images[2]},
                                          set.original.channels_last, dtype, norm_.device);
    const std::vector<cuda::Answer> answers{
        answer_of(run_kernels(tokens, original, set.out_channels_last, true, 0)),
        answer_of(run_kernels(tokens, original, set.out_channels_last, true, 1))};
    judge_norm_kernels(answers, dtype, norm_.precision, [&](DType in) {
      const auto engine = make_libtorch_fuser_engine(config_, in_dtype(parameters_, in));
      const std::vector<Tensor> inputs = in_dtype({tokens, original}, in);
      return answer_of(engine->run(inputs[0], inputs[1], set.out_channels_last, with_maps));
    });
  }

  TokenFuserConfig config_;
  std::vector<Tensor> parameters_;
  NormDevice norm_;
  PackedOnce<cuda::CudaTokenFuser> packed_;
  std::unique_ptr<TokenFuserEngine> documented_;
  VerifiedKernels<FuserSet> verified_;
};

}  // namespace

std::unique_ptr<TokenFuserEngine> make_fused_cuda_fuser_engine(const TokenFuserConfig& config,
                                                               const std::vector<Tensor>& parameters) {
  return std::make_unique<FusedCudaFuserEngine>(config, parameters);
}

}  // namespace tokenlearner
