// The fused engine for the CPU. It converts tensors to the kernels' params struct and back.

#include <mutex>

#include "engine/error.hpp"
#include "engine/memory/copy.hpp"
#include "engine/run/op.hpp"
#include "engine/token-learner/engine.hpp"
#include "engine/token-learner/few-map-values.hpp"
#include "engine/token-learner/marshal.hpp"
#include "kernels/cpu/compute-pool.hpp"
#include "kernels/cpu/fused.hpp"

namespace tokenlearner {

namespace {

using kernels::Status;

void check(Status status) {
  if (status == Status::ok) return;
  throw Error(
      status == Status::out_of_memory ? ErrorCode::ERR_OUT_OF_MEMORY : ErrorCode::ERR_ENGINE_UNSUPPORTED,
      std::string("The fused CPU engine answered: ") + name_of(status));
}

std::shared_ptr<const kernels::PackedWeights> pack(const TokenLearnerConfig& config,
                                                   const std::vector<Tensor>& parameters, kernels::Isa isa) {
  const LayerViews layers = layer_views(parameters);
  std::shared_ptr<const kernels::PackedWeights> packed;
  check(kernels::PackedWeights::pack(weights_view(config, parameters, layers), isa, packed));
  return packed;
}

/// The maximum number of multiply-adds of an inline run: about ten microseconds.
constexpr double kInlineWork = 1 << 19;

class FusedCpuEngine final : public TokenLearnerEngine {
 public:
  FusedCpuEngine(const TokenLearnerConfig& config, const std::vector<Tensor>& parameters)
      : config_(config), parameters_(parameters), weights_(pack(config, parameters, kernels::chosen_isa())) {}

  TokensAndMaps run(const Tensor& x, const ForwardOptions& options) const override {
    if (!has_few_map_values(config_, x)) return run_with(*weights_, x, options);
    const TokensAndMaps wide = run_with(wide_weights(), copied(x, DType::float64), options);
    return {converted(wide.tokens, 0, x.dtype, options),
            options.return_attention ? converted(wide.maps, 1, x.dtype, options) : wide.maps};
  }

  bool runs_inline(int64_t elements) const override {
    const double pixels = static_cast<double>(elements) / static_cast<double>(config_.dim);
    return pixels * weights_->work_per_pixel() <= kInlineWork;
  }

 private:
  /// Output `i` in another dtype.
  static Tensor converted(const Tensor& output, std::size_t i, DType dtype, const ForwardOptions& options) {
    const Tensor result = options.result(i, output.shape, dtype);
    copy_into(result, output);
    return result;
  }

  TokensAndMaps run_with(const kernels::PackedWeights& weights, const Tensor& x,
                         const ForwardOptions& options) const {
    const int64_t batch = x.shape[0];
    const int64_t channels = x.shape[1];
    const int64_t groups = config_.num_output_tokens;
    const DType sums = x.dtype == DType::float64 ? DType::float64 : DType::float32;
    const bool tokens_first = options.tokens_first;
    Tensor maps = options.result(1, {batch, groups, x.shape[2], x.shape[3]}, sums);
    Tensor tokens = options.result(
        0, tokens_first ? Dims{batch, groups, channels} : Dims{batch, channels, groups}, x.dtype);
    kernels::Parallel& pool = kernels::pool_for(options.runs_inline());
    const int threads = config_.intra_op_threads > 0 ? config_.intra_op_threads : pool.threads();
    check(kernels::fused_forward(forward_params(x, maps, tokens, tokens_first), weights, pool, threads));
    // The kernels write maps in the type of their sums. For a 16-bit x the caller gets 16-bit maps.
    if (options.return_attention && maps.dtype != x.dtype) maps = converted(maps, 1, x.dtype, options);
    return {tokens, maps};
  }

  /// See Note [Few map values]. Packed at the first use.
  const kernels::PackedWeights& wide_weights() const {
    std::call_once(widened_, [this] {
      wide_weights_ = pack(config_, place(parameters_, {DType::float64, Device::cpu()}), weights_->isa());
    });
    return *wide_weights_;
  }

  TokenLearnerConfig config_;
  std::vector<Tensor> parameters_;
  std::shared_ptr<const kernels::PackedWeights> weights_;
  mutable std::once_flag widened_;
  mutable std::shared_ptr<const kernels::PackedWeights> wide_weights_;
};

}  // namespace

std::unique_ptr<TokenLearnerEngine> make_fused_cpu_engine(const TokenLearnerConfig& config,
                                                          const std::vector<Tensor>& parameters) {
  return std::make_unique<FusedCpuEngine>(config, parameters);
}

}  // namespace tokenlearner
