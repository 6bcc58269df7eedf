// The fused engine of TokenFuser for the CPU. It converts tensors to the kernels' params struct and back.

#include "kernels/cpu/token-fuser.hpp"

#include "engine/token-fuser/marshal.hpp"

namespace tokenlearner {

namespace {

class FusedCpuFuserEngine final : public TokenFuserEngine {
 public:
  FusedCpuFuserEngine(const TokenFuserConfig& config, const std::vector<Tensor>& parameters)
      : config_(config) {
    check_fused(
        kernels::TokenFuserWeights::pack(fuser_view(config, parameters), kernels::chosen_isa(), weights_));
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
    const kernels::TokenFuserParams params = fuser_params(tokens, original, channels_last, result);
    kernels::Parallel& pool = kernels::pool_for(options.runs_inline());
    const int threads = config_.intra_op_threads > 0 ? config_.intra_op_threads : pool.threads();
    check_fused(kernels::token_fuser_forward(std::span(&params, 1), *weights_, pool, threads));
    if (options.return_attention) result.maps = converted(result.maps, 1, original.dtype, options);
    return result;
  }

  bool runs_inline(int64_t elements) const override {
    const double pixels = static_cast<double>(elements) / static_cast<double>(config_.dim);
    // Each pixel may be an image of its own.
    return pixels * (weights_->work_per_pixel() + weights_->work_per_image()) <= kInlineWork;
  }

 private:
  TokenFuserConfig config_;
  std::shared_ptr<const kernels::TokenFuserWeights> weights_;
};

}  // namespace

std::unique_ptr<TokenFuserEngine> make_fused_cpu_fuser_engine(const TokenFuserConfig& config,
                                                              const std::vector<Tensor>& parameters) {
  return std::make_unique<FusedCpuFuserEngine>(config, parameters);
}

}  // namespace tokenlearner
