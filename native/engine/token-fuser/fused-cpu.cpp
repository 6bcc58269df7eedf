// The fused engine of TokenFuser for the CPU. It converts tensors to the kernels' params struct and back.

#include "kernels/cpu/token-fuser.hpp"

#include "engine/token-fuser/engine.hpp"
#include "engine/token-learner/fused-pooling.hpp"

namespace tokenlearner {

namespace {

kernels::TokenFuserView view_of(const TokenFuserConfig& config, const std::vector<Tensor>& p) {
  kernels::TokenFuserView view;
  if (config.use_normalization) {
    view.norm1_weight = p[0].data();
    view.norm1_bias = p[1].data();
    view.norm2_weight = p[2].data();
    view.norm2_bias = p[3].data();
  }
  const std::size_t i = config.first_mix();
  view.mix_weight = p[i].data();
  view.mix_bias = p[i + 1].data();
  view.mlp.channels = config.dim;
  view.mlp.hidden = config.bottleneck_dim;
  view.mlp.tokens = config.num_tokens;
  view.mlp.dtype = p[0].dtype;
  view.mlp.activation = activation_of(config.approximate);
  view.mlp.eps = config.eps;
  view.mlp.norm_weight = p[i + 2].data();
  view.mlp.norm_bias = p[i + 3].data();
  view.mlp.first_weight = p[i + 4].data();
  view.mlp.first_bias = p[i + 5].data();
  view.mlp.second_weight = p[i + 6].data();
  view.mlp.second_bias = p[i + 7].data();
  return view;
}

class FusedCpuFuserEngine final : public TokenFuserEngine {
 public:
  FusedCpuFuserEngine(const TokenFuserConfig& config, const std::vector<Tensor>& parameters)
      : config_(config) {
    check_fused(
        kernels::TokenFuserWeights::pack(view_of(config, parameters), kernels::chosen_isa(), weights_));
  }

  OutputAndMaps run(const Tensor& tokens, const Tensor& original, bool channels_last,
                    const ForwardOptions& options) const override {
    const int64_t batch = original.shape[0], height = original.shape[2], width = original.shape[3];
    OutputAndMaps result;
    result.output = options.result(
        0, channels_last ? Dims{batch, height, width, config_.dim} : Dims{batch, config_.dim, height, width},
        original.dtype);
    // The kernels write maps in the type of their sums.
    const DType sums = kernels::compute_dtype(original.dtype);
    const Dims maps{batch, config_.num_tokens, height, width};
    if (options.return_attention)
      result.maps = sums == original.dtype ? options.result(1, maps, sums) : Tensor::empty(maps, sums);
    kernels::TokenFuserParams params = params_of(tokens, original);
    params.out_channels_last = channels_last;
    params.out = result.output.data();
    if (options.return_attention) params.attention = result.maps.data();
    kernels::Parallel& pool = kernels::pool_for(options.runs_inline());
    const int threads = config_.intra_op_threads > 0 ? config_.intra_op_threads : pool.threads();
    check_fused(kernels::token_fuser_forward(std::span(&params, 1), *weights_, pool, threads));
    if (options.return_attention && sums != original.dtype) {
      const Tensor converted = options.result(1, maps, original.dtype);
      copy_into(converted, result.maps);
      result.maps = converted;
    }
    return result;
  }

  bool runs_inline(int64_t elements) const override {
    const double pixels = static_cast<double>(elements) / static_cast<double>(config_.dim);
    // Each pixel may be an image of its own.
    return pixels * (weights_->work_per_pixel() + weights_->work_per_image()) <= kInlinePoolingWork;
  }

 private:
  static kernels::TokenFuserParams params_of(const Tensor& tokens, const Tensor& original) {
    kernels::TokenFuserParams params;
    params.batch = original.shape[0];
    params.height = original.shape[2];
    params.width = original.shape[3];
    params.dtype = original.dtype;
    params.x = original.data();
    params.x_batch_stride = original.strides[0];
    params.x_channel_stride = original.strides[1];
    params.x_row_stride = original.strides[2];
    params.x_pixel_stride = original.strides[3];
    params.tokens = tokens.data();
    params.tokens_batch_stride = tokens.strides[0];
    params.tokens_channel_stride = tokens.strides[1];
    params.tokens_token_stride = tokens.strides[2];
    return params;
  }

  TokenFuserConfig config_;
  std::shared_ptr<const kernels::TokenFuserWeights> weights_;
};

}  // namespace

std::unique_ptr<TokenFuserEngine> make_fused_cpu_fuser_engine(const TokenFuserConfig& config,
                                                              const std::vector<Tensor>& parameters) {
  return std::make_unique<FusedCpuFuserEngine>(config, parameters);
}

}  // namespace tokenlearner
