#include "kernels/cpu/token-learner-v11.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <new>
#include <vector>

#include "kernels/cpu/list-run.hpp"
#include "kernels/cpu/pixel-blocks.hpp"
#include "kernels/cpu/validate.hpp"

namespace tokenlearner::kernels {
namespace {

/** An image has at most so many shares, each of at least two panels. See Note [Online softmax]. */
constexpr std::int64_t kMostShares = 64;
/** Images whose shares outlive their tasks are computed in groups: of so many bytes of shares a thread, or one by one. */
constexpr std::int64_t kGroupBytes = 1 << 20;

/** One image of one forward. */
struct Image {
  const ForwardParams* params;
  std::int64_t index;
  std::int64_t shares;
  /** The first share of the image in the sequence of all, and of those that outlive their tasks. */
  std::int64_t first_share;
  std::int64_t first_kept;

  /** Shares of whole images do not outlive their tasks. */
  std::int64_t kept() const { return shares == 1 ? 0 : shares; }
};

class V11Run {
 public:
  V11Run(std::span<const ForwardParams> list, DType dtype, const NormMlpWeights& weights)
      : weights_(weights),
        mlp_(weights.layout()),
        typed_(kernels_of(weights.isa()).of(dtype)),
        kernels_(*typed_.norm_mlp),
        plan_(typed_, mlp_.channels, item_size(weights.compute())),
        element_(static_cast<std::int64_t>(item_size(weights.compute()))),
        stored_(static_cast<std::int64_t>(item_size(dtype))),
        y_bytes_(round_up(pooled_values(mlp_.channels, mlp_.tokens)) * element_) {
    for (const ForwardParams& params : list) {
      const std::int64_t pixels = params.height * params.width;
      for (std::int64_t i = 0; i < params.batch; ++i) {
        const std::int64_t shares = std::clamp<std::int64_t>(pixels / (2 * plan_.panel), 1, kMostShares);
        images_.push_back({&params, i, shares, shares_, kept_});
        shares_ += shares;
        kept_ += images_.back().kept();
        pixels_ += pixels;
      }
    }
  }

  Status run(Parallel& parallel, int max_threads) {
    const double work = static_cast<double>(pixels_) * weights_.work_per_pixel();
    const int threads = threads_for(work, max_threads, parallel);
    const std::span<const Image> images = images_;
    for (std::size_t first = 0; first < images.size();) {
      const std::size_t count = group_size(images.subspan(first), threads);
      const Status status = run_group(images.subspan(first, count), parallel, threads);
      if (status != Status::ok) return status;
      first += count;
    }
    return Status::ok;
  }

 private:
  /** Bytes of a PoolShare, in whole cache lines. */
  std::int64_t share_bytes() const {
    const std::int64_t tokens = round_up(mlp_.tokens);
    return tokens * (element_ + 2 * 8) + y_bytes_;
  }

  /** How many of the first images are a group. */
  std::size_t group_size(std::span<const Image> images, int threads) const {
    std::int64_t bytes = images[0].kept() * share_bytes();
    std::size_t count = 1;
    for (; count < images.size(); ++count) {
      bytes += images[count].kept() * share_bytes();
      if (bytes > kGroupBytes * threads) break;
    }
    return count;
  }

  Status run_group(std::span<const Image> images, Parallel& parallel, int threads) {
    const std::int64_t first = images.front().first_share;
    const std::int64_t shares = images.back().first_share + images.back().shares - first;
    first_kept_ = images.front().first_kept;
    const std::int64_t kept_shares = images.back().first_kept + images.back().kept() - first_kept_;
    if (kept_shares > 0) {
      // This thread keeps the memory of a group for its next run. An image with larger shares has memory of its own.
      thread_local AlignedBuffer kept;
      const std::int64_t bytes = kept_shares * share_bytes();
      AlignedBuffer& buffer = bytes <= kGroupBytes * threads ? kept : large_;
      if (!buffer.reserve(static_cast<std::size_t>(bytes))) return Status::out_of_memory;
      partial_ = static_cast<char*>(buffer.data());
    }
    // Some shares in a row, so that one fetches the pixels of the next.
    const std::int64_t chunk = std::max<std::int64_t>(1, shares / (8 * threads));
    parallel.run(divide_up(shares, chunk), threads, [&](std::int64_t task) {
      const std::int64_t end = std::min(shares, (task + 1) * chunk);
      for (std::int64_t i = task * chunk; i < end; ++i) share_task(first + i, i + 1 < end);
    });
    if (kept_shares > 0 && !out_of_memory_) {
      parallel.run(static_cast<std::int64_t>(images.size()), threads,
                   [&](std::int64_t task) { merge_task(images[static_cast<std::size_t>(task)]); });
    }
    return out_of_memory_ ? Status::out_of_memory : Status::ok;
  }

  /** The memory of a share that outlives its task. */
  char* kept_share(const Image& image, std::int64_t i) const {
    return partial_ + (image.first_kept + i - first_kept_) * share_bytes();
  }

  PoolShare share_at(char* memory) const {
    const std::int64_t tokens = round_up(mlp_.tokens);
    PoolShare share{};
    share.sum = reinterpret_cast<double*>(memory);
    share.offset = share.sum + tokens;
    share.largest = share.offset + tokens;
    share.y = static_cast<char*>(share.largest) + tokens * element_;
    return share;
  }

  const Image& image_of(std::int64_t share) const {
    const auto after =
        std::upper_bound(images_.begin(), images_.end(), share,
                         [](std::int64_t at, const Image& image) { return at < image.first_share; });
    return *(after - 1);
  }

  /** The first pixel of share `i` of an image, or the end of its pixels. */
  std::int64_t bound(const Image& image, std::int64_t i) const {
    const std::int64_t pixels = image.params->height * image.params->width;
    return i == image.shares ? pixels : i * (pixels / plan_.panel) / image.shares * plan_.panel;
  }

  /** The pixels from `first` to `end` that are packed next. */
  RowsAhead ahead(const Image& image, std::int64_t first, std::int64_t end) const {
    return rows_ahead(source_of(image), mlp_.channels, stored_, first, std::min(plan_.panel, end - first));
  }

  /** Any thread. */
  void share_task(std::int64_t task, bool is_followed) {
    const Image& image = image_of(task);
    const std::int64_t share = task - image.first_share;
    const std::int64_t own = image.shares == 1 ? share_bytes() : 0;
    char* const memory = static_cast<char*>(scratch(plan_.bytes() + block_bytes() + own + finish_bytes()));
    if (memory == nullptr) {
      out_of_memory_ = true;
      return;
    }
    char* const kept = image.shares == 1 ? memory + plan_.bytes() + block_bytes() : kept_share(image, share);
    const PoolShare result = share_at(kept);
    clear_largest(result);
    RowsAhead next;
    if (is_followed) {
      const Image& other = image_of(task + 1);
      const std::int64_t after = task + 1 - other.first_share;
      next = ahead(other, bound(other, after), bound(other, after + 1));
    }
    const std::int64_t first = bound(image, share);
    const std::int64_t end = bound(image, share + 1);
    for (std::int64_t at = first; at < end;) {
      const std::int64_t pixels = std::min(plan_.block, end - at);
      const bool is_last = at + pixels == end;
      block(image, at, pixels, at == first, memory, result, is_last ? next : ahead(image, at + pixels, end));
      at += pixels;
    }
    if (image.shares == 1) finish(image, result, kept + own);
  }

  /** L of a block, the same packed for the pooled sums, and their factors. */
  std::int64_t block_bytes() const { return 2 * logits_bytes() + scale_bytes(); }
  std::int64_t logits_bytes() const {
    return round_up(padded_tokens(mlp_.tokens) * plan_.lanes()) * element_;
  }
  std::int64_t scale_bytes() const {
    return round_up(padded_tokens(mlp_.tokens) * kMostPooledPixels) * element_;
  }
  std::int64_t finish_bytes() const { return round_up(finish_values(mlp_.channels, mlp_.tokens)) * element_; }

  void clear_largest(const PoolShare& share) const {
    for (std::int64_t g = 0; g < mlp_.tokens; ++g) {
      if (element_ == 8) {
        static_cast<double*>(share.largest)[g] = -std::numeric_limits<double>::infinity();
      } else {
        static_cast<float*>(share.largest)[g] = -std::numeric_limits<float>::infinity();
      }
    }
  }

  /** Packs, normalises, multiplies and pools one block of an image's pixels. `next` is what comes after it. */
  void block(const Image& image, std::int64_t first, std::int64_t pixels, bool is_first, char* memory,
             const PoolShare& share, const RowsAhead& next) {
    const PixelBlock block(plan_, typed_, kernels_, mlp_.channels, pixels, memory);
    char* const logits = memory + plan_.bytes();
    char* const packed = logits + logits_bytes();
    void* const scale = packed + logits_bytes();
    const PixelSource source = source_of(image);
    std::int64_t at = first;
    for (std::int64_t i = 0; i < block.count(); ++i) {
      const PanelView& panel = block.panels()[i];
      block.pack(panel, source, at, mlp_.eps);
      at += panel.pixels;
      kernels_.logits({&mlp_, panel.x, panel.pixels, block.scale(panel), block.shift(panel),
                       logits + panel.lane * element_, block.stride(),
                       at < first + pixels ? block.behind(i, source, at, stored_) : next});
    }
    if (image.params->attention != nullptr) write_logits(image, block, first, logits);
    kernels_.softmax_block({block.panels(), block.count(), block.lanes(), block.stride(), mlp_.tokens, logits,
                            block.mean(), is_first, share.largest, share.sum, share.offset, scale});
    kernels_.pool({block.panels(), block.count(), mlp_.channels, mlp_.tokens, logits, block.stride(), packed,
                   is_first, scale, share.y});
  }

  /** A row of the image's attention. */
  char* map_of(const Image& image, std::int64_t token) const {
    const ForwardParams& params = *image.params;
    return static_cast<char*>(params.attention) +
           (image.index * params.attention_batch_stride + token * params.attention_token_stride) * element_;
  }

  void write_logits(const Image& image, const PixelBlock& block, std::int64_t first, const char* logits) {
    for (std::int64_t g = 0; g < mlp_.tokens; ++g) {
      char* to = map_of(image, g) + first * element_;
      for (std::int64_t i = 0; i < block.count(); ++i) {
        const PanelView& panel = block.panels()[i];
        std::copy_n(logits + (g * block.stride() + panel.lane) * element_, panel.pixels * element_, to);
        to += panel.pixels * element_;
      }
    }
  }

  /** Merges the shares of an image in order. Any thread. */
  void merge_task(const Image& image) {
    if (image.shares == 1) return;
    char* const memory = static_cast<char*>(scratch(finish_bytes()));
    if (memory == nullptr) {
      out_of_memory_ = true;
      return;
    }
    const PoolShare first = share_at(kept_share(image, 0));
    for (std::int64_t i = 1; i < image.shares; ++i) {
      const PoolShare other = share_at(kept_share(image, i));
      kernels_.merge({first, other, mlp_.channels, mlp_.tokens});
    }
    finish(image, first, memory);
  }

  void finish(const Image& image, const PoolShare& share, void* memory) {
    const ForwardParams& params = *image.params;
    const std::int64_t pixels = params.height * params.width;
    const char* const x = static_cast<const char*>(params.x) + image.index * params.x_batch_stride * stored_;
    if (params.attention != nullptr) {
      for (std::int64_t g = 0; g < mlp_.tokens; ++g)
        kernels_.softmax_row(map_of(image, g), pixels, static_cast<const char*>(share.largest) + g * element_,
                             share.sum[g]);
    }
    kernels_.finish({
        .share = share,
        .channels = mlp_.channels,
        .tokens = mlp_.tokens,
        .value = weights_.value(),
        .groups = mlp_.groups,
        .only_pixel = pixels == 1 ? x : nullptr,
        .pixel_channel_stride = params.x_channel_stride,
        .out = static_cast<char*>(params.tokens) + image.index * params.tokens_batch_stride * stored_,
        .out_channel_stride = params.tokens_channel_stride,
        .out_token_stride = params.tokens_token_stride,
        .scratch = memory,
    });
  }

  PixelSource source_of(const Image& image) const {
    return image_source(*image.params, image.index, stored_);
  }

  const NormMlpWeights& weights_;
  const NormMlpLayout& mlp_;
  const TypedKernels& typed_;
  const NormMlpKernels& kernels_;
  const BlockPlan plan_;
  /** Bytes of one Compute value, and of one Stored value. */
  const std::int64_t element_;
  const std::int64_t stored_;
  /** The pooled sums of a share. See Note [Pooled sums]. */
  const std::int64_t y_bytes_;
  std::vector<Image> images_;
  std::int64_t shares_ = 0;
  std::int64_t kept_ = 0;
  std::int64_t pixels_ = 0;
  /** The memory of the group's shares that outlive their tasks, and the first of them. */
  char* partial_ = nullptr;
  std::int64_t first_kept_ = 0;
  AlignedBuffer large_;
  std::atomic<bool> out_of_memory_ = false;
};

}  // namespace

Status token_learner_v11_forward(std::span<const ForwardParams> list, const NormMlpWeights& weights,
                                 Parallel& parallel, int max_threads) noexcept {
  const Status status = check_list(list, weights.compute(), is_valid_pooling);
  if (status != Status::ok || list.empty()) return status;
  try {
    return V11Run(list, list.front().dtype, weights).run(parallel, max_threads);
  } catch (const std::bad_alloc&) {
    return Status::out_of_memory;
  }
}

}  // namespace tokenlearner::kernels
