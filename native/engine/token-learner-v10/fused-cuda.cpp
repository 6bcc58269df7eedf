// The fused engine of TokenLearner v1.0 for CUDA. It verifies our kernels, uses them, and falls back where it may: Note [Trust, but
// verify] in token-learner/fused-cuda.cpp.

#include "engine/cuda/stream.hpp"
#include "engine/token-learner-v10/marshal.hpp"
#include "engine/token-learner/fused-cuda-norm.hpp"
#include "kernels/cuda/token-learner-v10-cuda.hpp"

namespace tokenlearner {

namespace {

namespace cuda = kernels::cuda;

/// The first convolution's weight (G, C, 3, 3) as (9, G, C), as cuda_pack_token_learner_v10() takes it.
Tensor tap_rows(const Tensor& weight) {
  const int64_t tokens = weight.shape[0], channels = weight.shape[1];
  Tensor rows = weight;
  rows.shape = {9, tokens, channels};
  rows.strides = {1, channels * 9, 9};
  return aten::clone(rows);
}

struct V10Kernels {
  V10Kernels(const TokenLearnerV10Config& settings, const std::vector<Tensor>& tensors)
      : config(settings), parameters(tensors), norm(tensors, settings.allow_tf32) {}

  std::string name() const { return std::string("v1.0 ") + name_of(norm.precision); }

  std::unique_ptr<TokenLearnerEngine> documented(const std::vector<Tensor>& tensors) const {
    return make_libtorch_v10_engine(config, tensors);
  }

  cuda::CudaShape shape_of(const Tensor& x) const {
    return {x.shape[0], config.dim, 0, config.num_output_tokens, x.shape[2] * x.shape[3]};
  }

  cuda::NormPlan plan_for(const Tensor& x) const {
    return cuda::plan_v10(shape_of(x), norm.precision, norm.properties);
  }

  NormSet set_for(const Tensor& x) const {
    return {plan_for(x).resident, cuda::is_channels_last(x.strides[1], x.strides[3]),
            cuda::has_pixel_segments(shape_of(x))};
  }

  const cuda::CudaTokenLearnerV10& weights() const {
    kernels::TokenLearnerV10View view = v10_view(config, parameters);
    return packed.get(cuda::cuda_token_learner_v10_bytes(view, norm.precision), norm.device,
                      [&](const DeviceBytes& buffer, cuda::CudaTokenLearnerV10& result) {
                        const Tensor rows = tap_rows(parameters[2]);
                        view.convolutions[0] = rows.data();
                        const kernels::Status status =
                            cuda::cuda_pack_token_learner_v10(view, norm.precision, buffer.data, buffer.size,
                                                              &result, current_stream(norm.device));
                        // The packing reads `rows`.
                        synchronize(norm.device);
                        return status;
                      });
  }

  static constexpr auto forward = cuda::cuda_v10_forward;

  TokenLearnerV10Config config;
  std::vector<Tensor> parameters;
  NormDevice norm;
  PackedOnce<cuda::CudaTokenLearnerV10> packed;
};

}  // namespace

std::unique_ptr<TokenLearnerEngine> make_fused_cuda_v10_engine(const TokenLearnerV10Config& config,
                                                               const std::vector<Tensor>& parameters) {
  return std::make_unique<FusedCudaPoolingEngine<V10Kernels>>(config.engine == "fused", config, parameters);
}

}  // namespace tokenlearner
