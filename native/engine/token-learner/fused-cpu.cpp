// The fused engine for the CPU. It converts tensors to the kernels' params struct and back.

#include <mutex>

#include "engine/error.hpp"
#include "engine/run/op.hpp"
#include "engine/token-learner/engine.hpp"
#include "engine/token-learner/few-map-values.hpp"
#include "engine/token-learner/marshal.hpp"
#include "engine/torch/aten.hpp"
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
                                                   const std::vector<Tensor>& parameters) {
  const LayerViews layers = layer_views(parameters);
  std::shared_ptr<const kernels::PackedWeights> packed;
  check(
      kernels::PackedWeights::pack(weights_view(config, parameters, layers), kernels::chosen_isa(), packed));
  return packed;
}

/// The maximum number of multiply-adds of an inline run: about ten microseconds.
constexpr double kInlineWork = 1 << 19;

class FusedCpuEngine final : public TokenLearnerEngine {
 public:
  FusedCpuEngine(const TokenLearnerConfig& config, const std::vector<Tensor>& parameters)
      : config_(config), parameters_(parameters), weights_(pack(config, parameters)) {}

  TokensAndMaps run(const Tensor& x, const ForwardOptions& options) const override {
    if (!has_few_map_values(config_, x)) return run_with(*weights_, x, options);
    return narrowed(run_with(wide_weights(), aten::to_copy(x, DType::float64, Device::cpu()), options));
  }

  bool runs_inline(int64_t elements) const override {
    return static_cast<double>(elements) *
               static_cast<double>(config_.hidden() * config_.num_output_tokens) <=
           kInlineWork;
  }

 private:
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
    // An inline run may be on JavaScript's thread. It must not wait for the permits of longer runs.
    kernels::SerialParallel serial;
    kernels::Parallel& pool =
        options.runs_inline() ? serial : static_cast<kernels::Parallel&>(kernels::ComputePool::shared());
    const int threads = config_.intra_op_threads > 0 ? config_.intra_op_threads : pool.threads();
    check(kernels::fused_forward(forward_params(x, maps, tokens, tokens_first, x.dtype), weights, pool,
                                 threads));
    // The kernels write maps in the type of their sums. For a 16-bit x the caller gets 16-bit maps.
    if (options.return_attention && maps.dtype != x.dtype) maps = aten::to_copy(maps, x.dtype, Device::cpu());
    return {tokens, maps};
  }

  /// See Note [Few map values]. Packed at the first use.
  const kernels::PackedWeights& wide_weights() const {
    std::call_once(widened_, [this] {
      wide_weights_ = pack(config_, place(parameters_, {DType::float64, Device::cpu()}));
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
