#include "kernels/cpu/fused.hpp"

#include <algorithm>
#include <atomic>

#include "kernels/cpu/topology.hpp"
#include "kernels/cpu/validate.hpp"

namespace tokenlearner::kernels {
namespace {

/** Below this number of multiply-adds (about 20 microseconds) a second thread costs more than it saves. */
constexpr std::int64_t kSerialWork = 1 << 20;
/** Tasks per thread: small tasks keep the tail short. */
constexpr std::int64_t kTasksPerThread = 8;
/**
 * Limit in bytes of a thread's block of pixels. The rest of its 4 MB is more than enough for everything else.
 */
constexpr std::int64_t kBlockBytes = 3 << 20;

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t whole_lines(std::int64_t bytes) { return divide_up(bytes, 64) * 64; }

/** Hidden layers that a block of pixels stores: the last one is not, and two take turns. */
int stored_layers(const PackedWeights& weights) { return std::clamp(weights.num_layers() - 2, 0, 2); }

/** Rows of packed pixels in a thread's block: x, and the stored layers or the maps of a single layer. */
std::int64_t block_rows(const PackedWeights& weights) {
  const std::int64_t outputs =
      weights.num_layers() == 1 ? weights.tokens() : stored_layers(weights) * weights.hidden();
  return weights.channels() + outputs;
}

/** How the maps are divided into tasks. The result has the same bits for every plan. */
struct Plan {
  std::int64_t block_pixels;
  /** All groups of a single layer, which is one matrix. */
  std::int64_t groups_per_task;
};

Plan make_plan(const TypedKernels& kernels, const PackedWeights& weights, std::int64_t pixels, int threads) {
  const auto level2 = static_cast<std::int64_t>(cache_sizes().level2);
  const std::int64_t panel = kernels.panel_pixels;
  const std::int64_t panel_bytes = kernels.packed_bytes(block_rows(weights), panel);
  Plan plan{};
  plan.block_pixels = std::clamp<std::int64_t>(std::min(level2 / 2, kBlockBytes) / panel_bytes, 1, 8) * panel;
  // With tens of thousands of rows the panel must be narrower.
  if (panel_bytes > kBlockBytes)
    plan.block_pixels = std::max<std::int64_t>(1, panel * kBlockBytes / panel_bytes);
  plan.groups_per_task = weights.tokens();
  if (threads == 1) return plan;
  const std::int64_t fewest_groups = weights.num_layers() == 1 ? weights.tokens() : 1;

  const auto tasks = [&] {
    return divide_up(pixels, plan.block_pixels) * divide_up(weights.tokens(), plan.groups_per_task);
  };
  // Divide the groups first, as long as each task has enough rows to be worth packing its pixels.
  const std::int64_t target = threads * kTasksPerThread;
  while (tasks() < target && plan.groups_per_task > fewest_groups &&
         plan.groups_per_task / 2 * weights.hidden() >= 512) {
    plan.groups_per_task /= 2;
  }
  while (tasks() < target && plan.block_pixels > panel) {
    plan.block_pixels = divide_up(plan.block_pixels / panel, 2) * panel;
  }
  while (tasks() < target && plan.groups_per_task > fewest_groups) plan.groups_per_task /= 2;
  return plan;
}

/** This thread's scratch memory. It is kept for the next run: new pages would cost more than a small run. */
void* scratch(std::int64_t bytes) {
  thread_local AlignedBuffer buffer;
  return buffer.reserve(static_cast<std::size_t>(bytes)) ? buffer.data() : nullptr;
}

class FusedRun {
 public:
  FusedRun(const ForwardParams& params, const PackedWeights& weights)
      : params_(params),
        weights_(weights),
        kernels_(kernels_of(weights.isa()).of(params.dtype)),
        image_pixels_(params.height * params.width),
        element_(static_cast<std::int64_t>(item_size(weights.compute()))),
        source_{params.x,
                params.height,
                params.width,
                params.x_batch_stride,
                params.x_channel_stride,
                params.x_row_stride,
                params.x_pixel_stride} {}

  Status run(Parallel& parallel, int max_threads) {
    const std::int64_t pixels = params_.batch * image_pixels_;
    const double work = static_cast<double>(pixels) * weights_.work_per_pixel();
    const int threads =
        work < static_cast<double>(kSerialWork) ? 1 : std::clamp(max_threads, 1, parallel.threads());
    if (pixels > 0) run_maps(parallel, threads, pixels);
    if (!out_of_memory_) run_tokens(parallel, threads);
    return out_of_memory_ ? Status::out_of_memory : Status::ok;
  }

 private:
  void run_maps(Parallel& parallel, int threads, std::int64_t pixels) {
    const Plan plan = make_plan(kernels_, weights_, pixels, threads);
    const std::int64_t blocks = divide_up(pixels, plan.block_pixels);
    const std::int64_t splits = divide_up(weights_.tokens(), plan.groups_per_task);
    parallel.run(blocks * splits, threads, [&](std::int64_t task) {
      const std::int64_t first = task / splits * plan.block_pixels;
      const std::int64_t group = task % splits * plan.groups_per_task;
      map_task(first, std::min(plan.block_pixels, pixels - first), group,
               std::min(plan.groups_per_task, weights_.tokens() - group));
    });
  }

  /** Computes A[groups, block of pixels]. Any thread. */
  void map_task(std::int64_t first, std::int64_t pixels, std::int64_t first_group, std::int64_t groups) {
    const bool single = weights_.num_layers() == 1;
    const std::int64_t lanes = divide_up(pixels, kernels_.panel_pixels) * kernels_.panel_pixels;
    const std::int64_t x_bytes = whole_lines(kernels_.packed_bytes(weights_.channels(), pixels));
    const std::int64_t hidden_bytes = whole_lines(kernels_.packed_bytes(weights_.hidden(), pixels));
    const std::int64_t map_bytes =
        single ? kernels_.packed_bytes(weights_.tokens(), pixels) : 2 * lanes * element_;
    char* x = static_cast<char*>(scratch(x_bytes + stored_layers(weights_) * hidden_bytes + map_bytes));
    if (x == nullptr) {
      out_of_memory_ = true;
      return;
    }
    kernels_.pack_pixels(source_, weights_.channels(), first, pixels, x);
    if (single) return single_layer(x, x + x_bytes, first, pixels);
    char* hidden = x + x_bytes;
    char* map = hidden + stored_layers(weights_) * hidden_bytes;
    const int last = weights_.num_layers() - 1;
    for (std::int64_t g = first_group; g < first_group + groups; ++g) {
      const char* input = x;
      for (int i = 0; i < last - 1; ++i) {
        char* output = hidden + i % 2 * hidden_bytes;
        kernels_.layer({product(input, pixels, g, i), true, output});
        input = output;
      }
      kernels_.attention({product(input, pixels, g, last - 1), weights_.layer(g, last), map});
      write_map(map, first, pixels, g);
    }
  }

  /** A = W x + b of all groups. `maps` receives panels of pixels with groups in place of channels. */
  void single_layer(const char* x, char* maps, std::int64_t first, std::int64_t pixels) {
    kernels_.layer({product(x, pixels, 0, 0), false, maps});
    for (std::int64_t done = 0; done < pixels;) {
      const std::int64_t count = std::min<std::int64_t>(pixels - done, kernels_.panel_pixels);
      const std::int64_t row_bytes = kernels_.packed_bytes(1, count);
      for (std::int64_t g = 0; g < weights_.tokens(); ++g) {
        write_map(maps + g * row_bytes, first + done, count, g);
      }
      maps += weights_.tokens() * row_bytes;
      done += count;
    }
  }

  ProductTile product(const char* x, std::int64_t pixels, std::int64_t group, int layer) const {
    const std::int64_t channels = layer == 0 ? weights_.channels() : weights_.hidden();
    const std::int64_t rows = weights_.num_layers() == 1 ? weights_.tokens() : weights_.hidden();
    const std::int64_t panel_bytes = kernels_.packed_bytes(channels, kernels_.panel_pixels);
    return {x, pixels, channels, rows, weights_.layer(group, layer), panel_bytes <= level1_ * 3 / 4};
  }

  /** Copies the map of a block of the flat pixel sequence to (B, G, P). */
  void write_map(const char* map, std::int64_t first, std::int64_t pixels, std::int64_t group) {
    char* attention =
        static_cast<char*>(params_.attention) + group * params_.attention_token_stride * element_;
    for (std::int64_t done = 0; done < pixels;) {
      const std::int64_t image = (first + done) / image_pixels_;
      const std::int64_t pixel = (first + done) % image_pixels_;
      const std::int64_t count = std::min(pixels - done, image_pixels_ - pixel);
      std::copy_n(map + done * element_, count * element_,
                  attention + (image * params_.attention_batch_stride + pixel) * element_);
      done += count;
    }
  }

  void run_tokens(Parallel& parallel, int threads) {
    const std::int64_t per_image = divide_up(weights_.channels(), kernels_.token_channels);
    const std::int64_t tiles = params_.batch * per_image;
    const std::int64_t tile_work =
        kernels_.token_channels * std::max<std::int64_t>(image_pixels_ * weights_.tokens(), 1);
    const std::int64_t tiles_per_task = std::clamp<std::int64_t>(kSerialWork / 4 / tile_work, 1, tiles);
    parallel.run(divide_up(tiles, tiles_per_task), threads, [&](std::int64_t task) {
      const std::int64_t first = task * tiles_per_task;
      token_task(first, std::min(first + tiles_per_task, tiles), per_image);
    });
  }

  /** Computes y of a few channels of one or several images. Any thread. */
  void token_task(std::int64_t first, std::int64_t end, std::int64_t per_image) {
    void* memory = scratch(kernels_.token_scratch + kernels_.token_channels * weights_.tokens() * element_);
    if (memory == nullptr) {
      out_of_memory_ = true;
      return;
    }
    for (std::int64_t index = first; index < end; ++index) {
      const std::int64_t image = index / per_image;
      const std::int64_t channel = index % per_image * kernels_.token_channels;
      const auto stored = static_cast<std::int64_t>(item_size(params_.dtype));
      kernels_.tokens({
          .source = source_,
          .image = image,
          .first_channel = channel,
          .channels = std::min<std::int64_t>(kernels_.token_channels, weights_.channels() - channel),
          .groups = weights_.tokens(),
          .attention =
              static_cast<const char*>(params_.attention) + image * params_.attention_batch_stride * element_,
          .attention_token_stride = params_.attention_token_stride,
          .tokens = static_cast<char*>(params_.tokens) + image * params_.tokens_batch_stride * stored,
          .tokens_channel_stride = params_.tokens_channel_stride,
          .tokens_token_stride = params_.tokens_token_stride,
          .scratch = memory,
      });
    }
  }

  const ForwardParams& params_;
  const PackedWeights& weights_;
  const TypedKernels& kernels_;
  const std::int64_t image_pixels_;
  /** Bytes of one Compute value. */
  const std::int64_t element_;
  const std::int64_t level1_ = static_cast<std::int64_t>(cache_sizes().level1);
  const PixelSource source_;
  std::atomic<bool> out_of_memory_ = false;
};

}  // namespace

Status fused_forward(const ForwardParams& params, const PackedWeights& weights, Parallel& parallel,
                     int max_threads) noexcept {
  if (!is_valid(params)) return Status::invalid_argument;
  if (compute_dtype(params.dtype) != weights.compute()) return Status::unsupported;
  if (params.batch == 0) return Status::ok;
  return FusedRun(params, weights).run(parallel, max_threads);
}

}  // namespace tokenlearner::kernels
