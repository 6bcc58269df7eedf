#include "kernels/cpu/token-fuser.hpp"

#include <algorithm>
#include <atomic>
#include <new>

#include "kernels/cpu/list-run.hpp"
#include "kernels/cpu/load-as.hpp"
#include "kernels/cpu/pixel-blocks.hpp"

namespace tokenlearner::kernels {
namespace {

std::vector<double> doubles(const void* from, DType dtype, std::int64_t count) {
  std::vector<double> result(static_cast<std::size_t>(from == nullptr ? 0 : count));
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = load_as<double>(from, dtype, static_cast<std::int64_t>(i));
  return result;
}

bool is_valid(const TokenFuserParams& params) {
  if (params.batch < 0 || params.height < 0 || params.width < 0 || !is_floating(params.dtype)) return false;
  if (params.batch * params.height * params.width == 0) return true;
  return params.x != nullptr && params.tokens != nullptr && params.out != nullptr;
}

/** One image of one forward. */
struct Image {
  const TokenFuserParams* params;
  std::int64_t index;
  /** The first block of the image in the sequence of all. */
  std::int64_t first_block;

  std::int64_t pixels() const { return params->height * params->width; }
};

class FuserRun {
 public:
  FuserRun(std::span<const TokenFuserParams> list, DType dtype, const TokenFuserWeights& weights)
      : weights_(weights),
        mlp_(weights.mlp().layout()),
        typed_(kernels_of(weights.mlp().isa()).of(dtype)),
        kernels_(*typed_.norm_mlp),
        plan_(typed_, mlp_.channels, item_size(weights.mlp().compute())),
        element_(static_cast<std::int64_t>(item_size(weights.mlp().compute()))),
        stored_(static_cast<std::int64_t>(item_size(dtype))),
        stride_(round_up(mlp_.channels)) {
    for (const TokenFuserParams& params : list) {
      const std::int64_t pixels = params.height * params.width;
      for (std::int64_t i = 0; i < params.batch && pixels > 0; ++i) {
        images_.push_back({&params, i, blocks_});
        blocks_ += divide_up(pixels, plan_.block);
        work_ += static_cast<double>(pixels) * weights.work_per_pixel() + weights.work_per_image();
      }
    }
  }

  Status run(Parallel& parallel, int max_threads) {
    const int threads = threads_for(work_, max_threads, parallel);
    const auto images = static_cast<std::int64_t>(images_.size());
    if (!tokens_.reserve(static_cast<std::size_t>(images * token_bytes()))) return Status::out_of_memory;
    parallel.run(images, threads, [&](std::int64_t task) { mix_task(task); });
    if (!out_of_memory_) parallel.run(blocks_, threads, [&](std::int64_t task) { block_task(task); });
    return out_of_memory_ ? Status::out_of_memory : Status::ok;
  }

 private:
  std::int64_t token_bytes() const { return mlp_.tokens * stride_ * element_; }
  char* tokens_of(std::int64_t image) { return static_cast<char*>(tokens_.data()) + image * token_bytes(); }

  char* reserve(std::int64_t bytes) {
    char* const memory = static_cast<char*>(scratch(bytes));
    if (memory == nullptr) out_of_memory_ = true;
    return memory;
  }

  /** T of one image. Any thread. */
  void mix_task(std::int64_t task) {
    const Image& image = images_[static_cast<std::size_t>(task)];
    const TokenFuserParams& params = *image.params;
    char* const memory = reserve((mlp_.tokens + 1) * stride_ * static_cast<std::int64_t>(sizeof(double)));
    if (memory == nullptr) return;
    kernels_.mix({
        .source =
            static_cast<const char*>(params.tokens) + image.index * params.tokens_batch_stride * stored_,
        .token_stride = params.tokens_token_stride,
        .channel_stride = params.tokens_channel_stride,
        .channels = mlp_.channels,
        .tokens = mlp_.tokens,
        .eps = mlp_.eps,
        .weight = weights_.mix_weight(),
        .bias = weights_.mix_bias(),
        .norm1_weight = weights_.norm1_weight(),
        .norm1_bias = weights_.norm1_bias(),
        .norm2_weight = weights_.norm2_weight(),
        .norm2_bias = weights_.norm2_bias(),
        .scratch = reinterpret_cast<double*>(memory),
        .out = tokens_of(task),
        .stride = stride_,
    });
  }

  /** y of one block of an image's pixels. Any thread. */
  void block_task(std::int64_t task) {
    const auto after =
        std::upper_bound(images_.begin(), images_.end(), task,
                         [](std::int64_t at, const Image& image) { return at < image.first_block; });
    const auto index = after - images_.begin() - 1;
    const Image& image = images_[static_cast<std::size_t>(index)];
    char* const memory = reserve(plan_.bytes() + mlp_.tokens * plan_.lanes() * element_);
    if (memory == nullptr) return;
    const std::int64_t first = (task - image.first_block) * plan_.block;
    const PixelBlock block(plan_, typed_, kernels_, mlp_.channels,
                           std::min(plan_.block, image.pixels() - first), memory);
    char* const weights = memory + plan_.bytes();
    const PixelSource source = source_of(image);
    std::int64_t at = first;
    for (std::int64_t i = 0; i < block.count(); ++i) {
      const PanelView& panel = block.panels()[i];
      block.pack(panel, source, at, mlp_.eps);
      at += panel.pixels;
      kernels_.logits({&mlp_, panel.x, panel.pixels, block.scale(panel), block.shift(panel),
                       weights + panel.lane * element_, block.stride(),
                       block.behind(i, source, at, stored_)});
    }
    at = first;
    kernels_.sigmoid(weights, mlp_.tokens * block.stride());
    for (std::int64_t i = 0; i < block.count(); ++i) {
      const PanelView& panel = block.panels()[i];
      const char* const own = weights + panel.lane * element_;
      if (image.params->attention != nullptr) write_maps(image, panel, block.stride(), own, at);
      spread(image, tokens_of(index), panel, block.stride(), own, at);
      at += panel.pixels;
    }
  }

  void write_maps(const Image& image, const PanelView& panel, std::int64_t stride, const char* weights,
                  std::int64_t at) const {
    char* const to = static_cast<char*>(image.params->attention) +
                     (image.index * mlp_.tokens * image.pixels() + at) * element_;
    for (std::int64_t g = 0; g < mlp_.tokens; ++g)
      std::copy_n(weights + g * stride * element_, panel.pixels * element_,
                  to + g * image.pixels() * element_);
  }

  void spread(const Image& image, const char* tokens, const PanelView& panel, std::int64_t stride,
              const char* weights, std::int64_t at) const {
    const bool last = image.params->out_channels_last;
    char* const out =
        static_cast<char*>(image.params->out) +
        (image.index * mlp_.channels * image.pixels() + (last ? at * mlp_.channels : at)) * stored_;
    if (last) {
      kernels_.spread(
          {weights, stride, panel.pixels, tokens, stride_, mlp_.channels, mlp_.tokens, out, mlp_.channels});
    } else {
      kernels_.spread(
          {tokens, stride_, mlp_.channels, weights, stride, panel.pixels, mlp_.tokens, out, image.pixels()});
    }
  }

  PixelSource source_of(const Image& image) const {
    return image_source(*image.params, image.index, stored_);
  }

  const TokenFuserWeights& weights_;
  const NormMlpLayout& mlp_;
  const TypedKernels& typed_;
  const NormMlpKernels& kernels_;
  const BlockPlan plan_;
  /** Bytes of one Compute value, and of one Stored value. */
  const std::int64_t element_;
  const std::int64_t stored_;
  /** Between the tokens of an image in tokens_. */
  const std::int64_t stride_;
  std::vector<Image> images_;
  std::int64_t blocks_ = 0;
  double work_ = 0;
  /** T of all images. */
  AlignedBuffer tokens_;
  std::atomic<bool> out_of_memory_ = false;
};

}  // namespace

Status TokenFuserWeights::pack(const TokenFuserView& view, Isa isa,
                               std::shared_ptr<const TokenFuserWeights>& out) noexcept {
  const bool all = view.norm1_weight != nullptr && view.norm1_bias != nullptr &&
                   view.norm2_weight != nullptr && view.norm2_bias != nullptr;
  const bool none = view.norm1_weight == nullptr && view.norm1_bias == nullptr &&
                    view.norm2_weight == nullptr && view.norm2_bias == nullptr;
  if (view.mix_weight == nullptr || view.mix_bias == nullptr || (!all && !none))
    return Status::invalid_argument;
  try {
    std::shared_ptr<TokenFuserWeights> packed(new TokenFuserWeights());
    TokenLearnerV11View mlp;
    mlp.mlp = view.mlp;
    const Status status = NormMlpWeights::pack(mlp, isa, packed->mlp_);
    if (status != Status::ok) return status;
    const DType dtype = view.mlp.dtype;
    const std::int64_t channels = view.mlp.channels, tokens = view.mlp.tokens;
    packed->mix_weight_ = doubles(view.mix_weight, dtype, tokens * tokens);
    packed->mix_bias_ = doubles(view.mix_bias, dtype, tokens);
    packed->norm1_weight_ = doubles(view.norm1_weight, dtype, channels);
    packed->norm1_bias_ = doubles(view.norm1_bias, dtype, channels);
    packed->norm2_weight_ = doubles(view.norm2_weight, dtype, channels);
    packed->norm2_bias_ = doubles(view.norm2_bias, dtype, channels);
    out = std::move(packed);
  } catch (const std::bad_alloc&) {
    return Status::out_of_memory;
  }
  return Status::ok;
}

double TokenFuserWeights::work_per_image() const noexcept {
  constexpr double kNorms = 20;
  const NormMlpLayout& layout = mlp_->layout();
  const auto tokens = static_cast<double>(layout.tokens);
  // In double, which takes twice the time.
  return 2 * tokens * static_cast<double>(layout.channels) * (tokens + kNorms);
}

Status token_fuser_forward(std::span<const TokenFuserParams> list, const TokenFuserWeights& weights,
                           Parallel& parallel, int max_threads) noexcept {
  const Status status = check_list(list, weights.mlp().compute(), is_valid);
  if (status != Status::ok || list.empty()) return status;
  try {
    return FuserRun(list, list.front().dtype, weights).run(parallel, max_threads);
  } catch (const std::bad_alloc&) {
    return Status::out_of_memory;
  }
}

}  // namespace tokenlearner::kernels
