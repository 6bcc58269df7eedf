// The layers that pool an image's pixels to tokens. They accept any leading dimensions and call an engine that computes
// (B, C, H, W).
#pragma once

#include <memory>
#include <vector>

#include "engine/layers/token-call.hpp"

namespace tokenlearner {

/// `Config` has `dim` and `num_output_tokens`. `Derived` has a constructor of (Config, Placement, parameters).
template <typename Derived, typename Config>
class TokenPoolingOp : public ConfiguredOp<Derived, Config> {
 public:
  Outputs run(Inputs inputs, const CallOptions& options) const override {
    const ImageBatch batch = images_of(only(inputs), options);
    const ForwardOptions forward = forward_options(options);
    return outputs_of(batch, engine_->run(batch.images, forward), forward);
  }

  std::vector<std::size_t> result_bytes(std::span<const Dims> inputs,
                                        const CallOptions& options) const override {
    if (inputs.size() != 1 || this->placement().device.is_cuda()) return {};
    const Config& config = this->settings();
    return token_bytes(inputs[0], options, config.dim, config.num_output_tokens, this->placement().dtype);
  }

  std::optional<int64_t> joined_rank(int64_t rank) const override {
    return rank >= 4 ? std::optional(rank - 1) : std::nullopt;
  }
  bool takes_any_size() const override { return true; }
  std::optional<Dims> batch_key(const Dims&) const override { return Dims(); }

  std::vector<Outputs> run_list(RequestList list) const override {
    std::vector<ForwardOptions> options;
    std::vector<ImageBatch> batches;
    std::vector<ListedImages> images;
    options.reserve(list.size());
    for (const ListedRequest& request : list) {
      options.push_back(forward_options(*request.options));
      batches.push_back(images_of(only(request.inputs), *request.options));
      images.push_back({batches.back().images, &options.back()});
    }
    const std::vector<TokensAndMaps> results = engine_->run_list(images, this->placement().device);
    std::vector<Outputs> outputs;
    for (std::size_t i = 0; i < list.size(); ++i)
      outputs.push_back(outputs_of(batches[i], results[i], options[i]));
    return outputs;
  }

  bool runs_inline(Inputs inputs) const override { return engine_->runs_inline(only(inputs).numel()); }

 protected:
  /// `name` is the layer's, for messages. It is a literal.
  TokenPoolingOp(const char* name, Config config, Placement placement, std::vector<Tensor> parameters)
      : ConfiguredOp<Derived, Config>(std::move(config), placement, std::move(parameters)), name_(name) {}

  void use(std::unique_ptr<TokenLearnerEngine> engine) { engine_ = std::move(engine); }

 private:
  ImageBatch images_of(const Tensor& input, const CallOptions& options) const {
    check_dtype(input, this->placement().dtype, name_);
    ImageBatch batch = image_batch(input, ImageOrder::of(options), this->settings().dim, name_);
    for (const int64_t size : batch.pixels) {
      if (size == 0)
        throw Error(ErrorCode::ERR_SHAPE_MISMATCH, std::string(name_) + " needs at least one pixel");
    }
    return batch;
  }

  static Outputs outputs_of(const ImageBatch& batch, const TokensAndMaps& result,
                            const ForwardOptions& options) {
    Outputs outputs{batch.with_leading(result.tokens)};
    if (options.return_attention) outputs.push_back(batch.maps(result.maps));
    return outputs;
  }

  const char* name_;
  std::unique_ptr<TokenLearnerEngine> engine_;
};

}  // namespace tokenlearner
