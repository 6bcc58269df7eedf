// Our fused engine on the CPU: marshals engine tensors into the kernels' params struct and back.

#include <cstdlib>
#include <mutex>

#include "engine/aten.hpp"
#include "engine/error.hpp"
#include "engine/op.hpp"
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

/// TOKENLEARNER_CPU_ISA forces an instruction set, for tests and benchmarks.
kernels::Isa chosen_isa() {
  const char* forced = std::getenv("TOKENLEARNER_CPU_ISA");
  return forced == nullptr ? kernels::best_isa() : kernels::isa_from_name(forced);
}

std::shared_ptr<const kernels::PackedWeights> pack(const TokenLearnerConfig& config,
                                                   const std::vector<Tensor>& parameters) {
  const LayerViews layers = layer_views(parameters);
  std::shared_ptr<const kernels::PackedWeights> packed;
  check(kernels::PackedWeights::pack(weights_view(config, parameters, layers), chosen_isa(), packed));
  return packed;
}

/// Multiply-adds of a brief run: some ten microseconds.
constexpr double kBriefWork = 1 << 19;

class FusedCpuEngine final : public TokenLearnerEngine {
 public:
  FusedCpuEngine(const TokenLearnerConfig& config, const std::vector<Tensor>& parameters)
      : config_(config), parameters_(parameters), weights_(pack(config, parameters)) {}

  TokensAndMaps run(const Tensor& x, const RunOptions& options) const override {
    if (!has_few_map_values(config_, x)) return run_with(*weights_, x, options);
    return narrowed(run_with(wide_weights(), aten::to_copy(x, DType::kFloat64, Device::cpu()), options));
  }

  bool is_brief(int64_t elements) const override {
    return static_cast<double>(elements) *
               static_cast<double>(config_.hidden() * config_.num_output_tokens) <=
           kBriefWork;
  }

 private:
  TokensAndMaps run_with(const kernels::PackedWeights& weights, const Tensor& x,
                         const RunOptions& options) const {
    const int64_t batch = x.shape[0];
    const int64_t channels = x.shape[1];
    const int64_t groups = config_.num_output_tokens;
    const DType sums = x.dtype == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32;
    const bool tokens_first = options.tokens_first;
    Tensor maps = options.result(1, {batch, groups, x.shape[2], x.shape[3]}, sums);
    Tensor tokens = options.result(
        0, tokens_first ? Dims{batch, groups, channels} : Dims{batch, channels, groups}, x.dtype);
    // A brief run, which may be on JavaScript's thread, does not wait for the permits of longer ones.
    kernels::SerialParallel serial;
    kernels::Parallel& pool =
        is_brief(x.numel()) ? serial : static_cast<kernels::Parallel&>(kernels::ComputePool::shared());
    const int threads = config_.intra_op_threads > 0 ? config_.intra_op_threads : pool.threads();
    check(kernels::fused_forward(forward_params(x, maps, tokens, tokens_first, kernel_dtype(x.dtype)),
                                 weights, pool, threads));
    // The kernels keep maps in the type they sum in; 16-bit callers get 16-bit maps.
    if (options.return_attention && maps.dtype != x.dtype) maps = aten::to_copy(maps, x.dtype, Device::cpu());
    return {tokens, maps};
  }

  /// See Note [Few map values]. Packed at the first need.
  const kernels::PackedWeights& wide_weights() const {
    std::call_once(widened_, [this] {
      wide_weights_ = pack(config_, place(parameters_, {DType::kFloat64, Device::cpu()}));
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
