// The fused engine of TokenLearner v1.1 for the CPU. It converts tensors to the kernels' params struct and back.

#include <span>

#include "engine/error.hpp"
#include "engine/memory/copy.hpp"
#include "engine/token-learner-v11/engine.hpp"
#include "engine/token-learner/marshal.hpp"
#include "kernels/cpu/compute-pool.hpp"
#include "kernels/cpu/token-learner-v11.hpp"

namespace tokenlearner {

namespace {

using kernels::Status;

void check(Status status) {
  if (status == Status::ok) return;
  throw Error(
      status == Status::out_of_memory ? ErrorCode::ERR_OUT_OF_MEMORY : ErrorCode::ERR_ENGINE_UNSUPPORTED,
      std::string("The fused CPU engine answered: ") + name_of(status));
}

kernels::Activation activation_of(const std::string& name) {
  if (name.empty()) return kernels::Activation::none;
  return name == "tanh" ? kernels::Activation::gelu_tanh : kernels::Activation::gelu_erf;
}

kernels::TokenLearnerV11View view_of(const TokenLearnerV11Config& config, const std::vector<Tensor>& p) {
  kernels::TokenLearnerV11View view;
  view.mlp.channels = config.dim;
  view.mlp.hidden = config.hidden();
  view.mlp.tokens = config.num_output_tokens;
  view.mlp.groups = config.has_value() ? config.groups : 1;
  view.mlp.dtype = p[0].dtype;
  view.mlp.activation = activation_of(config.activation());
  view.mlp.eps = config.eps;
  view.mlp.norm_weight = p[0].data();
  view.mlp.norm_bias = p[1].data();
  view.mlp.first_weight = p[2].data();
  if (config.has_value()) {
    view.mlp.second_weight = p[3].data();
    view.value_weight = p[4].data();
  } else {
    view.mlp.first_bias = p[3].data();
    view.mlp.second_weight = p[4].data();
    view.mlp.second_bias = p[5].data();
  }
  return view;
}

/// The maximum number of multiply-adds of an inline run: about ten microseconds.
constexpr double kInlineWork = 1 << 19;

class FusedCpuV11Engine final : public TokenLearnerEngine {
 public:
  FusedCpuV11Engine(const TokenLearnerV11Config& config, const std::vector<Tensor>& parameters)
      : config_(config) {
    check(kernels::NormMlpWeights::pack(view_of(config, parameters), kernels::chosen_isa(), weights_));
  }

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
    check(kernels::token_learner_v11_forward(params, *weights_, pool, threads));
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i].options->return_attention)
        results[i].maps = converted(results[i].maps, images[i].dtype, *list[i].options);
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

  static Tensor converted(const Tensor& maps, DType dtype, const ForwardOptions& options) {
    if (maps.dtype == dtype) return maps;
    const Tensor result = options.result(1, maps.shape, dtype);
    copy_into(result, maps);
    return result;
  }

  TokenLearnerV11Config config_;
  std::shared_ptr<const kernels::NormMlpWeights> weights_;
};

}  // namespace

std::unique_ptr<TokenLearnerEngine> make_fused_cpu_v11_engine(const TokenLearnerV11Config& config,
                                                              const std::vector<Tensor>& parameters) {
  return std::make_unique<FusedCpuV11Engine>(config, parameters);
}

}  // namespace tokenlearner
