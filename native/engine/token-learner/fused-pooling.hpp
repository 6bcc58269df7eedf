// The fused CPU engines of TokenLearner v1.0 and v1.1: they convert tensors to the kernels' params struct and back.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/token-learner/engine.hpp"
#include "engine/token-learner/fused-run.hpp"
#include "engine/token-learner/marshal.hpp"
#include "kernels/cpu/compute-pool.hpp"
#include "kernels/norm-mlp-params.hpp"

namespace tokenlearner {

/// "" is none; else GELU's option `approximate`.
inline kernels::Activation activation_of(const std::string& name) {
  if (name.empty()) return kernels::Activation::none;
  return name == "tanh" ? kernels::Activation::gelu_tanh : kernels::Activation::gelu_erf;
}

/// A fused engine that writes tokens, and maps if the caller wants them. `Config` has `dim`, `num_output_tokens` and
/// `intra_op_threads`; `Weights` has work_per_pixel().
template <typename Config, typename Weights>
class FusedPoolingEngine final : public TokenLearnerEngine {
 public:
  using Forward = kernels::Status(std::span<const kernels::ForwardParams>, const Weights&, kernels::Parallel&,
                                  int);

  FusedPoolingEngine(Config config, std::shared_ptr<const Weights> weights, Forward* forward)
      : config_(std::move(config)), weights_(std::move(weights)), forward_(forward) {}

  TokensAndMaps run(const Tensor& x, const ForwardOptions& options) const override {
    const ListedImages one{x, &options};
    return std::move(run_list({&one, 1}, Device::cpu()).front());
  }

  std::vector<TokensAndMaps> run_list(std::span<const ListedImages> list, Device) const override {
    std::vector<TokensAndMaps> results(list.size());
    std::vector<Tensor> images;
    std::vector<kernels::ForwardParams> params;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const ForwardOptions& options = *list[i].options;
      images.push_back(moved(list[i].x, Device::cpu()));
      results[i] = outputs_for(images[i], options);
      params.push_back(forward_params(images[i], results[i].maps, results[i].tokens, options.tokens_first));
    }
    kernels::Parallel& pool = kernels::pool_for(list.size() == 1 && list[0].options->runs_inline());
    const int threads = config_.intra_op_threads > 0 ? config_.intra_op_threads : pool.threads();
    check_fused(forward_(params, *weights_, pool, threads));
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i].options->return_attention)
        results[i].maps = converted(results[i].maps, 1, images[i].dtype, *list[i].options);
    }
    return results;
  }

  bool runs_inline(int64_t elements) const override {
    const double pixels = static_cast<double>(elements) / static_cast<double>(config_.dim);
    return pixels * weights_->work_per_pixel() <= kInlineWork;
  }

 private:
  /// Memory for the outputs; without maps if the caller does not want them: nobody needs them to make the tokens.
  TokensAndMaps outputs_for(const Tensor& x, const ForwardOptions& options) const {
    const int64_t batch = x.shape[0], tokens = config_.num_output_tokens;
    TokensAndMaps outputs;
    outputs.tokens = options.result(
        0, options.tokens_first ? Dims{batch, tokens, config_.dim} : Dims{batch, config_.dim, tokens},
        x.dtype);
    if (!options.return_attention) return outputs;
    // The kernels write maps in the type of their sums.
    const DType sums = kernels::compute_dtype(x.dtype);
    Dims shape{batch, tokens, x.shape[2], x.shape[3]};
    outputs.maps =
        sums == x.dtype ? options.result(1, std::move(shape), sums) : Tensor::empty(std::move(shape), sums);
    return outputs;
  }

  Config config_;
  std::shared_ptr<const Weights> weights_;
  Forward* forward_;
};

}  // namespace tokenlearner
