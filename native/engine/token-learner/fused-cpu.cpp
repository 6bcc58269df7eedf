// The fused engine for the CPU. It converts tensors to the kernels' params struct and back.

#include <mutex>

#include "engine/memory/copy.hpp"
#include "engine/run/op.hpp"
#include "engine/token-learner/engine.hpp"
#include "engine/token-learner/few-map-values.hpp"
#include "engine/token-learner/fused-run.hpp"
#include "engine/token-learner/marshal.hpp"
#include "kernels/cpu/compute-pool.hpp"
#include "kernels/cpu/fused.hpp"

namespace tokenlearner {

namespace {

std::shared_ptr<const kernels::PackedWeights> pack(const TokenLearnerConfig& config,
                                                   const std::vector<Tensor>& parameters, kernels::Isa isa) {
  const LayerViews layers = layer_views(parameters);
  std::shared_ptr<const kernels::PackedWeights> packed;
  check_fused(kernels::PackedWeights::pack(weights_view(config, parameters, layers), isa, packed));
  return packed;
}

class FusedCpuEngine final : public TokenLearnerEngine {
 public:
  FusedCpuEngine(const TokenLearnerConfig& config, const std::vector<Tensor>& parameters)
      : config_(config), parameters_(parameters), weights_(pack(config, parameters, kernels::chosen_isa())) {}

  TokensAndMaps run(const Tensor& x, const ForwardOptions& options) const override {
    TokensAndMaps result;
    const ListedImages images{x, &options};
    const bool wide = has_few_map_values(config_, x);
    Entry one = entry(images, wide, result);
    run_entries(wide ? wide_weights() : *weights_, {&one, 1});
    return result;
  }

  std::vector<TokensAndMaps> run_list(std::span<const ListedImages> list, Device) const override {
    std::vector<Entry> narrow, wide;
    std::vector<TokensAndMaps> results(list.size());
    for (std::size_t i = 0; i < list.size(); ++i) {
      const bool few = has_few_map_values(config_, list[i].x);
      (few ? wide : narrow).push_back(entry(list[i], few, results[i]));
    }
    if (!narrow.empty()) run_entries(*weights_, narrow);
    if (!wide.empty()) run_entries(wide_weights(), wide);
    return results;
  }

  bool runs_inline(int64_t elements) const override {
    const double pixels = static_cast<double>(elements) / static_cast<double>(config_.dim);
    return pixels * weights_->work_per_pixel() <= kInlineWork;
  }

 private:
  /// One request in a run of the kernels.
  struct Entry {
    /// In the dtype of the run: see Note [Few map values].
    Tensor x;
    const ListedImages& request;
    TokensAndMaps* result;
    Tensor tokens{};
    Tensor maps{};

    const ForwardOptions& options() const { return *request.options; }
    DType dtype() const { return request.x.dtype; }
  };

  static Entry entry(const ListedImages& images, bool wide, TokensAndMaps& result) {
    Tensor x = moved(images.x, Device::cpu());
    return {wide ? copied(x, DType::float64) : std::move(x), images, &result};
  }

  /// The kernels write all maps, in the type of their sums. Those that no caller gets as they are share one
  /// block of memory.
  void place_maps(std::span<Entry> entries, DType sums) const {
    int64_t scratch = 0;
    for (Entry& entry : entries) {
      entry.maps.shape = {entry.x.shape[0], config_.num_output_tokens, entry.x.shape[2], entry.x.shape[3]};
      if (entry.options().return_attention && sums == entry.dtype()) {
        entry.maps = entry.options().result(1, entry.maps.shape, sums);
      } else {
        entry.maps.offset = scratch;
        scratch += entry.maps.numel();
      }
    }
    const Tensor block = Tensor::empty({scratch}, sums);
    for (Entry& entry : entries) {
      if (!entry.maps.strides.empty()) continue;
      entry.maps.storage = block.storage;
      entry.maps.dtype = sums;
      entry.maps.strides = contiguous_strides(entry.maps.shape);
    }
  }

  void run_entries(const kernels::PackedWeights& weights, std::span<Entry> entries) const {
    const DType sums = entries.front().x.dtype == DType::float64 ? DType::float64 : DType::float32;
    place_maps(entries, sums);
    std::vector<kernels::ForwardParams> params;
    params.reserve(entries.size());
    for (Entry& entry : entries) {
      const int64_t batch = entry.x.shape[0], groups = config_.num_output_tokens, channels = config_.dim;
      const bool tokens_first = entry.options().tokens_first;
      Dims shape = tokens_first ? Dims{batch, groups, channels} : Dims{batch, channels, groups};
      entry.tokens = entry.x.dtype == entry.dtype()
                         ? entry.options().result(0, std::move(shape), entry.dtype())
                         : Tensor::empty(std::move(shape), entry.x.dtype);
      params.push_back(forward_params(entry.x, entry.maps, entry.tokens, tokens_first));
    }
    kernels::Parallel& pool = kernels::pool_for(entries.size() == 1 && entries[0].options().runs_inline());
    const int threads = config_.intra_op_threads > 0 ? config_.intra_op_threads : pool.threads();
    check_fused(kernels::fused_forward(params, weights, pool, threads));
    for (Entry& entry : entries) {
      entry.result->tokens = converted(entry.tokens, 0, entry.dtype(), entry.options());
      entry.result->maps = entry.options().return_attention
                               ? converted(entry.maps, 1, entry.dtype(), entry.options())
                               : std::move(entry.maps);
    }
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
