// Our fused engine on the CPU: marshals engine tensors into the kernels' params struct and back.

#include <cstdlib>

#include "engine/aten.hpp"
#include "engine/error.hpp"
#include "engine/token-learner/engine.hpp"
#include "engine/token-learner/marshal.hpp"
#include "kernels/cpu/compute-pool.hpp"
#include "kernels/cpu/fused.hpp"

namespace tokenlearner {

namespace {

using kernels::Status;

kernels::DType kernel_dtype(DType dtype) {
  switch (dtype) {
    case DType::kFloat64:
      return kernels::DType::float64;
    case DType::kFloat16:
      return kernels::DType::float16;
    case DType::kBFloat16:
      return kernels::DType::bfloat16;
    default:
      return kernels::DType::float32;
  }
}

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
  const kernels::LayerView layers[] = {{parameters[0].data(), parameters[1].data()},
                                       {parameters[2].data(), parameters[3].data()}};
  kernels::WeightsView view;
  view.channels = config.dim;
  view.hidden = config.hidden();
  view.tokens = config.num_output_tokens;
  view.num_layers = 2;
  view.dtype = kernel_dtype(parameters[0].dtype);
  view.layers = layers;
  std::shared_ptr<const kernels::PackedWeights> packed;
  check(kernels::PackedWeights::pack(view, chosen_isa(), packed));
  return packed;
}

class FusedCpuEngine final : public TokenLearnerEngine {
 public:
  FusedCpuEngine(const TokenLearnerConfig& config, const std::vector<Tensor>& parameters)
      : groups_(config.num_output_tokens),
        threads_(config.intra_op_threads),
        weights_(pack(config, parameters)) {}

  TokensAndMaps run(const Tensor& x, bool tokens_first, bool want_maps) const override {
    const int64_t batch = x.shape[0];
    const int64_t channels = x.shape[1];
    const bool wide = x.dtype == DType::kFloat64;
    Tensor maps =
        Tensor::empty({batch, groups_, x.shape[2], x.shape[3]}, wide ? DType::kFloat64 : DType::kFloat32);
    Tensor tokens = Tensor::empty(
        tokens_first ? Dims{batch, groups_, channels} : Dims{batch, channels, groups_}, x.dtype);
    kernels::ComputePool& pool = kernels::ComputePool::shared();
    const int threads = threads_ > 0 ? threads_ : pool.threads();
    check(kernels::fused_forward(forward_params(x, maps, tokens, tokens_first, kernel_dtype(x.dtype)),
                                 *weights_, pool, threads));
    // The kernels keep maps in the type they sum in; 16-bit callers get 16-bit maps.
    if (want_maps && maps.dtype != x.dtype) maps = aten::to_copy(maps, x.dtype, Device::cpu());
    return {tokens, maps};
  }

 private:
  int64_t groups_;
  int threads_;
  std::shared_ptr<const kernels::PackedWeights> weights_;
};

}  // namespace

std::unique_ptr<TokenLearnerEngine> make_fused_cpu_engine(const TokenLearnerConfig& config,
                                                          const std::vector<Tensor>& parameters) {
  return std::make_unique<FusedCpuEngine>(config, parameters);
}

}  // namespace tokenlearner
