// The fused engine of TokenLearner v1.1 for CUDA. It verifies our kernels, uses them, and falls back where it may.

#include "engine/cuda/stream.hpp"
#include "engine/token-learner-v11/marshal.hpp"
#include "engine/token-learner/fused-cuda-norm.hpp"

namespace tokenlearner {

namespace {

namespace cuda = kernels::cuda;

struct V11Kernels {
  V11Kernels(const TokenLearnerV11Config& settings, const std::vector<Tensor>& tensors)
      : config(settings), parameters(tensors), norm(tensors, settings.allow_tf32) {}

  std::string name() const { return std::string("v1.1 ") + name_of(norm.precision); }

  std::unique_ptr<TokenLearnerEngine> documented(const std::vector<Tensor>& tensors) const {
    return make_libtorch_v11_engine(config, tensors);
  }

  cuda::NormPlan plan_for(const Tensor& x) const {
    const cuda::CudaShape shape{x.shape[0], config.dim, config.bottleneck_dim, config.num_output_tokens,
                                x.shape[2] * x.shape[3]};
    return cuda::plan_v11(shape, norm.precision, norm.properties);
  }

  NormSet set_for(const Tensor& x) const {
    return {plan_for(x).resident, cuda::is_channels_last(x.strides[1], x.strides[3]),
            cuda::has_tiles_in_shares(x.shape[2] * x.shape[3])};
  }

  const cuda::CudaNormMlp& weights() const {
    const kernels::NormMlpView view = v11_view(config, parameters).mlp;
    return packed.get(cuda::cuda_norm_mlp_bytes(view, norm.precision), norm.device,
                      [&](const DeviceBytes& buffer, cuda::CudaNormMlp& result) {
                        return cuda::cuda_pack_norm_mlp(view, norm.precision, buffer.data, buffer.size,
                                                        &result, current_stream(norm.device));
                      });
  }

  static constexpr auto forward = cuda::cuda_v11_forward;

  TokenLearnerV11Config config;
  std::vector<Tensor> parameters;
  NormDevice norm;
  PackedOnce<cuda::CudaNormMlp> packed;
};

}  // namespace

std::unique_ptr<TokenLearnerEngine> make_fused_cuda_v11_engine(const TokenLearnerV11Config& config,
                                                               const std::vector<Tensor>& parameters) {
  return std::make_unique<FusedCudaPoolingEngine<V11Kernels>>(config.engine == "fused", config, parameters);
}

}  // namespace tokenlearner
