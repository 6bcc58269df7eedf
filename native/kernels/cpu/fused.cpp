#include "kernels/cpu/fused.hpp"

#include <algorithm>
#include <atomic>
#include <new>

#include "kernels/cpu/image-sequence.hpp"
#include "kernels/cpu/topology.hpp"
#include "kernels/cpu/validate.hpp"

namespace tokenlearner::kernels {
namespace {

/** Tasks per thread: small tasks keep the tail short. */
constexpr std::int64_t kTasksPerThread = 8;
/**
 * Limit in bytes of a thread's block of pixels. The rest of its 4 MB is more than enough for everything else.
 */
constexpr std::int64_t kBlockBytes = 3 << 20;

std::int64_t whole_lines(std::int64_t bytes) { return divide_up(bytes, 64) * 64; }

/** Hidden layers that a block of pixels stores: the last one is not, and two take turns. */
int stored_layers(const PackedWeights& weights) { return std::clamp(weights.num_layers() - 2, 0, 2); }

/** Rows of a thread's block: packed pixels, and the stored layers or the maps of a single layer. */
std::int64_t block_rows(const TypedKernels& kernels, const PackedWeights& weights) {
  const std::int64_t outputs =
      weights.num_layers() == 1 ? weights.tokens() : stored_layers(weights) * weights.hidden();
  return kernels.pixel_rows(weights.channels()) + outputs;
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
  const std::int64_t panel_bytes = kernels.packed_bytes(block_rows(kernels, weights), panel);
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

class FusedRun {
 public:
  FusedRun(const ImageSequence& images, DType dtype, const TypedKernels& kernels,
           const PackedWeights& weights)
      : images_(images),
        weights_(weights),
        kernels_(kernels),
        element_(static_cast<std::int64_t>(item_size(weights.compute()))),
        stored_(static_cast<std::int64_t>(item_size(dtype))) {}

  Status run(Parallel& parallel, int max_threads) {
    const std::int64_t pixels = images_.pixels();
    const double work = static_cast<double>(pixels) * weights_.work_per_pixel();
    const int threads = threads_for(work, max_threads, parallel);
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
    const std::int64_t x_bytes =
        whole_lines(kernels_.packed_bytes(kernels_.pixel_rows(weights_.channels()), pixels));
    const std::int64_t hidden_bytes = whole_lines(kernels_.packed_bytes(weights_.hidden(), pixels));
    const std::int64_t map_bytes =
        single ? kernels_.packed_bytes(weights_.tokens(), pixels) : 2 * lanes * element_;
    const std::int64_t layers_bytes = x_bytes + stored_layers(weights_) * hidden_bytes;
    Products first_layer = products_of(0, pixels, lanes);
    Products others = stored_layers(weights_) > 0 ? products_of(1, pixels, lanes) : first_layer;
    const std::int64_t sums_room = std::max(first_layer.sums_room, others.sums_room);
    char* x = static_cast<char*>(scratch(layers_bytes + whole_lines(map_bytes) + sums_room));
    if (x == nullptr) {
      out_of_memory_ = true;
      return;
    }
    const ImageSequence::Position start = images_.at_pixel(first);
    kernels_.pack_pixels(start.source, weights_.channels(), start.pixel, pixels, x);
    char* hidden = x + x_bytes;
    char* map = x + layers_bytes;
    first_layer.tile.sums = others.tile.sums = map + whole_lines(map_bytes);
    if (single) return single_layer(first_layer.of(x, weights_.layer(0, 0)), map, first);
    const int last = weights_.num_layers() - 1;
    for (std::int64_t g = first_group; g < first_group + groups; ++g) {
      const char* input = x;
      for (int i = 0; i < last - 1; ++i) {
        char* output = hidden + i % 2 * hidden_bytes;
        (i == 0 ? kernels_.first_layer : kernels_.layer)(
            {(i == 0 ? first_layer : others).of(input, weights_.layer(g, i)), true, output});
        input = output;
      }
      const auto attention = last == 1 ? kernels_.first_attention : kernels_.attention;
      const Products& products = last == 1 ? first_layer : others;
      attention({products.of(input, weights_.layer(g, last - 1)), weights_.layer(g, last), map});
      write_map(map, first, pixels, g);
    }
  }

  /** A = W x + b of all groups. `maps` receives panels of pixels with groups in place of channels. */
  void single_layer(const ProductTile& product, char* maps, std::int64_t first) {
    const std::int64_t pixels = product.pixels;
    kernels_.first_layer({product, false, maps});
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

  /** What a task's products of one layer have in common. */
  struct Products {
    ProductTile tile;
    std::int64_t sums_room;

    ProductTile of(const char* x, const PackedLayer& layer) const {
      ProductTile product = tile;
      product.x = x;
      product.layer = layer;
      return product;
    }
  };

  /** Those of layer 0; with 1, those of the hidden layers behind it. The memory for sums is not set. */
  Products products_of(int layer, std::int64_t pixels, std::int64_t lanes) const {
    const ProductShape shape{
        .rows = weights_.num_layers() == 1 ? weights_.tokens() : weights_.hidden(),
        .inputs = layer == 0 ? kernels_.pixel_rows(weights_.channels()) : weights_.hidden(),
        .panel_rows = layer == 0 ? kernels_.first_panels.rows : kernels_.panel_rows,
        .lanes = lanes,
        .panel_lanes = kernels_.panel_pixels,
        .element = element_,
        .divides_inputs = kernels_.divides_inputs,
    };
    const ProductBlocks blocks = product_blocks(shape);
    return {{nullptr, pixels, shape.inputs, shape.rows, {}, blocks, nullptr}, sums_bytes(shape, blocks)};
  }

  /** Copies the map of a block of the flat pixel sequence to the (B, G, P) of each forward. */
  void write_map(const char* map, std::int64_t first, std::int64_t pixels, std::int64_t group) {
    images_.for_each_run(first, pixels, [&](const ForwardParams& params, const ImageSequence::Run& run) {
      char* attention = static_cast<char*>(params.attention);
      const std::int64_t offset =
          run.image * params.attention_batch_stride + group * params.attention_token_stride + run.pixel;
      std::copy_n(map, run.count * element_, attention + offset * element_);
      map += run.count * element_;
    });
  }

  void run_tokens(Parallel& parallel, int threads) {
    const std::int64_t per_image = divide_up(weights_.channels(), kernels_.token_channels);
    const std::int64_t pixel_cost = kernels_.token_channels * weights_.tokens();
    const TokenTasks tasks(images_, per_image, pixel_cost, kSerialWork / 4);
    parallel.run(tasks.count(), threads, [&](std::int64_t task) {
      void* memory = scratch(kernels_.token_scratch + pixel_cost * element_);
      if (memory == nullptr) {
        out_of_memory_ = true;
        return;
      }
      tasks.for_each_tile(task, [&](std::size_t item, std::int64_t tile) {
        token_tile(item, tile / per_image, tile % per_image * kernels_.token_channels, memory);
      });
    });
  }

  /** Computes y of a few channels of one image. Any thread. */
  void token_tile(std::size_t item, std::int64_t image, std::int64_t channel, void* memory) {
    const ForwardParams& params = images_.params(item);
    kernels_.tokens({
        .source = images_.source(item),
        .image = image,
        .first_channel = channel,
        .channels = std::min<std::int64_t>(kernels_.token_channels, weights_.channels() - channel),
        .groups = weights_.tokens(),
        .attention =
            static_cast<const char*>(params.attention) + image * params.attention_batch_stride * element_,
        .attention_token_stride = params.attention_token_stride,
        .divisor = params.height * params.width,
        .tokens = static_cast<char*>(params.tokens) + image * params.tokens_batch_stride * stored_,
        .tokens_channel_stride = params.tokens_channel_stride,
        .tokens_token_stride = params.tokens_token_stride,
        .scratch = memory,
    });
  }

  const ImageSequence& images_;
  const PackedWeights& weights_;
  const TypedKernels& kernels_;
  /** Bytes of one Compute value. */
  const std::int64_t element_;
  /** Bytes of one Stored value. */
  const std::int64_t stored_;
  std::atomic<bool> out_of_memory_ = false;
};

}  // namespace

Status fused_forward(std::span<const ForwardParams> list, const PackedWeights& weights, Parallel& parallel,
                     int max_threads) noexcept {
  const auto valid = [](const ForwardParams& params) { return is_valid(params); };
  if (const Status status = check_list(list, weights.compute(), valid); status != Status::ok) return status;
  try {
    const ImageSequence images(list);
    if (images.empty()) return Status::ok;
    const DType dtype = list.front().dtype;
    const TypedKernels* kernels = weights.kernels(dtype);
    if (kernels == nullptr) return Status::unsupported;
    return FusedRun(images, dtype, *kernels, weights).run(parallel, max_threads);
  } catch (const std::bad_alloc&) {
    return Status::out_of_memory;
  }
}

}  // namespace tokenlearner::kernels
