#include "kernels/cpu/token-learner-v10.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "kernels/cpu/list-run.hpp"
#include "kernels/cpu/load-as.hpp"
#include "kernels/cpu/pixel-blocks.hpp"
#include "kernels/cpu/validate.hpp"

namespace tokenlearner::kernels {
namespace {

/** Images that share their phases are groups whose planes take at most so many bytes, or are computed one by one. */
constexpr std::int64_t kGroupBytes = 64 << 20;
/** A thread keeps so many bytes of planes for its next run: new pages would cost more than a small run. */
constexpr std::int64_t kKeptBytes = 2 << 20;
/** Pixels of a task on planes. */
constexpr std::int64_t kBandPixels = 1024;
constexpr std::int64_t kTaps = 9;
/** Outputs in a block of packed weights. */
constexpr std::int64_t kOutputs = 4;

/** One image of one forward, its tasks in the sequences of all, and its memory. */
struct Image {
  const ForwardParams* params;
  std::int64_t index;
  std::int64_t first_block = 0;
  std::int64_t first_band = 0;
  char* memory = nullptr;

  std::int64_t pixels() const { return params->height * params->width; }
  /** Elements of a plane. See Note [Padded planes]. */
  std::int64_t plane() const { return (params->height + 2) * (params->width + 2); }
  std::int64_t band_rows() const { return std::max<std::int64_t>(1, kBandPixels / params->width); }
  std::int64_t bands() const { return divide_up(params->height, band_rows()); }
};

class V10Run {
 public:
  V10Run(DType dtype, const TokenLearnerV10Weights& weights, Parallel& parallel, int threads)
      : weights_(weights),
        first_(weights.first().layout()),
        typed_(kernels_of(weights.first().isa()).of(dtype)),
        kernels_(*typed_.norm_mlp),
        plan_(typed_, first_.channels, item_size(weights.first().compute())),
        element_(static_cast<std::int64_t>(item_size(weights.first().compute()))),
        stored_(static_cast<std::int64_t>(item_size(dtype))),
        parallel_(parallel),
        threads_(threads) {}

  /** Computes a group of images: a few phases, each of them with all threads. */
  Status run(std::span<Image> images) {
    images_ = images;
    const std::int64_t bytes = group_bytes(images);
    thread_local AlignedBuffer kept;
    AlignedBuffer& planes = bytes <= kKeptBytes ? kept : large_;
    if (!planes.reserve(static_cast<std::size_t>(bytes))) return Status::out_of_memory;
    char* memory = static_cast<char*>(planes.data());
    std::int64_t blocks = 0, bands = 0;
    for (Image& image : images) {
      image.memory = memory;
      memory += image_bytes(image);
      image.first_block = blocks;
      blocks += divide_up(image.pixels(), plan_.block);
      image.first_band = bands;
      bands += image.bands();
    }
    const auto count = static_cast<std::int64_t>(images.size());
    // The borders must be zero, and kernels read on past the end of rows.
    phase(count, [&](std::int64_t task) { clear(images_[static_cast<std::size_t>(task)]); });
    phase(blocks, [&](std::int64_t task) { block_task(task); });
    for (int i = 0; i < 4; ++i) phase(bands, [&](std::int64_t task) { band_task(task, i); });
    const std::int64_t per_image = divide_up(first_.channels, typed_.token_channels);
    phase(count * per_image, [&](std::int64_t task) { pool_task(task / per_image, task % per_image); });
    return out_of_memory_ ? Status::out_of_memory : Status::ok;
  }

  /** The memory of a group. */
  std::int64_t group_bytes(std::span<const Image> images) const {
    std::int64_t bytes = kSlack * element_;
    for (const Image& image : images) bytes += image_bytes(image);
    return bytes;
  }

  /** The planes of nine taps, of two hidden layers, and A. */
  std::int64_t image_bytes(const Image& image) const {
    return (round_up((kTaps + 2) * weights_.tokens() * image.plane()) +
            round_up(weights_.tokens() * image.pixels())) *
           element_;
  }

 private:
  /** Elements that a kernel may read past the last plane. */
  static constexpr std::int64_t kSlack = 64;

  template <typename Task>
  void phase(std::int64_t count, const Task& task) {
    if (!out_of_memory_) parallel_.run(count, threads_, task);
  }

  char* reserve(std::int64_t bytes) {
    char* const memory = static_cast<char*>(scratch(bytes));
    if (memory == nullptr) out_of_memory_ = true;
    return memory;
  }

  template <std::int64_t Image::* kFirst>
  const Image& image_of(std::int64_t task) const {
    const auto after =
        std::upper_bound(images_.begin(), images_.end(), task,
                         [](std::int64_t at, const Image& image) { return at < image.*kFirst; });
    return *(after - 1);
  }

  void clear(const Image& image) const {
    std::memset(image.memory, 0,
                static_cast<std::size_t>((kTaps + 2) * weights_.tokens() * image.plane() * element_));
  }

  char* taps_of(const Image& image) const { return image.memory; }
  char* hidden_of(const Image& image, int i) const {
    return image.memory + (kTaps + i % 2) * weights_.tokens() * image.plane() * element_;
  }
  /** A of an image, and the distance of its rows. */
  char* maps_of(const Image& image) const {
    const ForwardParams& params = *image.params;
    if (params.attention != nullptr)
      return static_cast<char*>(params.attention) + image.index * params.attention_batch_stride * element_;
    return image.memory + round_up((kTaps + 2) * weights_.tokens() * image.plane()) * element_;
  }
  std::int64_t map_stride(const Image& image) const {
    return image.params->attention != nullptr ? image.params->attention_token_stride : image.pixels();
  }

  /** LayerNorm and the taps of the first convolution of one block of pixels. Any thread. */
  void block_task(std::int64_t task) {
    const Image& image = image_of<&Image::first_block>(task);
    const std::int64_t product_bytes = typed_.packed_bytes(first_.hidden, plan_.widest);
    const ProductShape shape = {.rows = first_.hidden,
                                .inputs = first_.channels,
                                .panel_rows = typed_.panel_rows,
                                .lanes = plan_.widest,
                                .panel_lanes = plan_.widest,
                                .element = element_,
                                .divides_inputs = typed_.divides_inputs};
    const ProductBlocks blocks = product_blocks(shape);
    char* const memory = reserve(plan_.bytes() + product_bytes + sums_bytes(shape, blocks));
    if (memory == nullptr) return;
    std::int64_t first = (task - image.first_block) * plan_.block;
    const PixelBlock block(plan_, typed_, kernels_, first_.channels,
                           std::min(plan_.block, image.pixels() - first), memory);
    char* const products = memory + plan_.bytes();
    char* const sums = products + product_bytes;
    const PixelSource source = source_of(image);
    for (std::int64_t i = 0; i < block.count(); ++i) {
      const PanelView& panel = block.panels()[i];
      block.pack(panel, source, first, first_.eps);
      const PackedLayer layer{first_.first_weight, first_.zeros};
      typed_.layer({{panel.x, panel.pixels, first_.channels, first_.hidden, layer, blocks, sums,
                     block.behind(i, source, first + panel.pixels, stored_)},
                    false,
                    products});
      kernels_.write_taps({
          .products = products,
          .panel_width = panel.width,
          .rows = first_.hidden,
          .first = first,
          .pixels = panel.pixels,
          .width = image.params->width,
          .scale = block.scale(panel),
          .shift = block.shift(panel),
          .row_sum = first_.row_sum,
          .bias = first_.first_bias,
          .planes = taps_of(image),
          .plane = image.plane(),
      });
      first += panel.pixels;
    }
  }

  /** Rows of the planes after convolution `i`. Any thread. */
  void band_task(std::int64_t task, int i) {
    const Image& image = image_of<&Image::first_band>(task);
    const std::int64_t first = (task - image.first_band) * image.band_rows();
    PlanesTile tile{};
    tile.in = i == 0 ? taps_of(image) : hidden_of(image, i - 1);
    tile.out = i == 3 ? maps_of(image) : hidden_of(image, i);
    tile.plane = image.plane();
    tile.out_plane = map_stride(image);
    tile.width = image.params->width;
    tile.first_row = first;
    tile.row_count = std::min(image.band_rows(), image.params->height - first);
    tile.tokens = weights_.tokens();
    tile.activation = weights_.activation();
    if (i == 0) return kernels_.sum_taps(tile);
    tile.weights = weights_.convolution(i);
    if (i == 3) return kernels_.convolve_to_maps(tile);
    kernels_.convolve(tile);
  }

  /** y of a few channels of one image. Any thread. */
  void pool_task(std::int64_t index, std::int64_t part) {
    const Image& image = images_[static_cast<std::size_t>(index)];
    const ForwardParams& params = *image.params;
    char* const memory = reserve(typed_.token_scratch + typed_.token_channels * weights_.tokens() * element_);
    if (memory == nullptr) return;
    const std::int64_t channel = part * typed_.token_channels;
    typed_.tokens({
        .source = source_of(image),
        .image = 0,
        .first_channel = channel,
        .channels = std::min<std::int64_t>(typed_.token_channels, first_.channels - channel),
        .groups = weights_.tokens(),
        .attention = maps_of(image),
        .attention_token_stride = map_stride(image),
        .divisor = weights_.takes_mean() ? image.pixels() : 1,
        .tokens = static_cast<char*>(params.tokens) + image.index * params.tokens_batch_stride * stored_,
        .tokens_channel_stride = params.tokens_channel_stride,
        .tokens_token_stride = params.tokens_token_stride,
        .scratch = memory,
    });
  }

  PixelSource source_of(const Image& image) const {
    return image_source(*image.params, image.index, stored_);
  }

  const TokenLearnerV10Weights& weights_;
  const NormMlpLayout& first_;
  const TypedKernels& typed_;
  const NormMlpKernels& kernels_;
  const BlockPlan plan_;
  /** Bytes of one Compute value, and of one Stored value. */
  const std::int64_t element_;
  const std::int64_t stored_;
  Parallel& parallel_;
  const int threads_;
  std::span<Image> images_;
  AlignedBuffer large_;
  std::atomic<bool> out_of_memory_ = false;
};

/**
 * How many of the first images are a task each: their planes stay in the caches, and no thread waits for another between phases. The
 * others, fewer than the threads, share their phases.
 */
std::size_t images_alone(std::span<const Image> images, const V10Run& run, int threads) {
  const std::size_t rest = images.size() % static_cast<std::size_t>(threads);
  const auto is_small = [&](const Image& image) { return run.group_bytes({&image, 1}) <= kKeptBytes; };
  return threads == 1 || std::ranges::all_of(images, is_small) ? images.size() - rest : 0;
}

/** Each image with all its phases on one thread. */
Status run_each(std::span<Image> images, DType dtype, const TokenLearnerV10Weights& weights,
                Parallel& parallel, int threads) {
  std::atomic<Status> status = Status::ok;
  parallel.run(static_cast<std::int64_t>(images.size()), threads, [&](std::int64_t task) {
    if (status != Status::ok) return;
    SerialParallel serial;
    const auto index = static_cast<std::size_t>(task);
    const Status own = V10Run(dtype, weights, serial, 1).run(images.subspan(index, 1));
    if (own != Status::ok) status = own;
  });
  return status;
}

Status run_all(std::span<const ForwardParams> list, const TokenLearnerV10Weights& weights, Parallel& parallel,
               int max_threads) {
  std::vector<Image> images;
  double pixels = 0;
  for (const ForwardParams& params : list) {
    for (std::int64_t i = 0; i < params.batch; ++i) {
      images.push_back({&params, i});
      pixels += static_cast<double>(images.back().pixels());
    }
  }
  const int threads = threads_for(pixels * weights.work_per_pixel(), max_threads, parallel);
  const DType dtype = list.front().dtype;
  V10Run run(dtype, weights, parallel, threads);
  std::size_t first = images_alone(images, run, threads);
  Status status = run_each(std::span(images).first(first), dtype, weights, parallel, threads);
  while (status == Status::ok && first < images.size()) {
    std::int64_t bytes = run.image_bytes(images[first]);
    std::size_t count = 1;
    for (; first + count < images.size(); ++count) {
      bytes += run.image_bytes(images[first + count]);
      if (bytes > kGroupBytes) break;
    }
    status = run.run(std::span(images).subspan(first, count));
    first += count;
  }
  return status;
}

/** (G, C, 3, 3) as (9 * G, C), tap by tap, in its own dtype. */
std::vector<char> taps_first(const TokenLearnerV10View& view) {
  const auto item = static_cast<std::int64_t>(item_size(view.dtype));
  std::vector<char> rows(static_cast<std::size_t>(kTaps * view.tokens * view.channels * item));
  const char* const from = static_cast<const char*>(view.convolutions[0]);
  for (std::int64_t g = 0; g < view.tokens; ++g) {
    for (std::int64_t c = 0; c < view.channels; ++c) {
      for (std::int64_t tap = 0; tap < kTaps; ++tap)
        std::copy_n(from + ((g * view.channels + c) * kTaps + tap) * item, item,
                    rows.data() + ((tap * view.tokens + g) * view.channels + c) * item);
    }
  }
  return rows;
}

/** False if the weights exceed the address space. Computed in floating point, which cannot overflow. */
bool fits_address_space(const TokenLearnerV10View& view) {
  const auto tokens = static_cast<double>(view.tokens);
  return tokens * (static_cast<double>(view.channels) + tokens) * 256 < 0x1p58;
}

}  // namespace

template <typename T>
void TokenLearnerV10Weights::fill(const TokenLearnerV10View& view, std::vector<T>& to) {
  const std::int64_t padded = divide_up(tokens_, kOutputs) * kOutputs;
  convolution_size_ = static_cast<std::size_t>(padded * tokens_ * kTaps);
  to.assign(3 * convolution_size_, T{0});
  for (int k = 0; k < 3; ++k) {
    T* const out = to.data() + static_cast<std::size_t>(k) * convolution_size_;
    for (std::int64_t g = 0; g < tokens_; ++g) {
      const std::int64_t block = g / kOutputs * kOutputs * tokens_ * kTaps + g % kOutputs;
      for (std::int64_t i = 0; i < tokens_ * kTaps; ++i)
        out[block + i * kOutputs] = load_as<T>(view.convolutions[k + 1], view.dtype, g * tokens_ * kTaps + i);
    }
  }
}

Status TokenLearnerV10Weights::pack(const TokenLearnerV10View& view, Isa isa,
                                    std::shared_ptr<const TokenLearnerV10Weights>& out) noexcept {
  for (const void* convolution : view.convolutions) {
    if (convolution == nullptr) return Status::invalid_argument;
  }
  if (view.channels <= 0 || view.tokens <= 0 || !is_floating(view.dtype)) return Status::invalid_argument;
  if (!fits_address_space(view)) return Status::out_of_memory;
  try {
    std::shared_ptr<TokenLearnerV10Weights> packed(new TokenLearnerV10Weights());
    const std::vector<char> rows = taps_first(view);
    TokenLearnerV11View first;
    first.mlp.channels = view.channels;
    first.mlp.hidden = kTaps * view.tokens;
    first.mlp.tokens = 1;
    first.mlp.dtype = view.dtype;
    first.mlp.activation = Activation::none;
    first.mlp.eps = view.eps;
    first.mlp.norm_weight = view.norm_weight;
    first.mlp.norm_bias = view.norm_bias;
    first.mlp.first_weight = rows.data();
    const Status status = NormMlpWeights::pack(first, isa, packed->first_);
    if (status != Status::ok) return status;
    packed->tokens_ = view.tokens;
    packed->activation_ = view.activation;
    packed->takes_mean_ = view.takes_mean;
    if (packed->first_->compute() == DType::float64) {
      packed->fill(view, packed->wide_);
    } else {
      packed->fill(view, packed->narrow_);
    }
    out = std::move(packed);
  } catch (const std::bad_alloc&) {
    return Status::out_of_memory;
  }
  return Status::ok;
}

double TokenLearnerV10Weights::work_per_pixel() const noexcept {
  constexpr double kActivations = 80;
  const auto tokens = static_cast<double>(tokens_);
  return first_->work_per_pixel() + tokens * (3 * kTaps * tokens + kActivations) +
         static_cast<double>(first_->layout().channels) * tokens;
}

Status token_learner_v10_forward(std::span<const ForwardParams> list, const TokenLearnerV10Weights& weights,
                                 Parallel& parallel, int max_threads) noexcept {
  const Status status = check_list(list, weights.first().compute(), is_valid_pooling);
  if (status != Status::ok || list.empty()) return status;
  try {
    return run_all(list, weights, parallel, max_threads);
  } catch (const std::bad_alloc&) {
    return Status::out_of_memory;
  }
}

}  // namespace tokenlearner::kernels
