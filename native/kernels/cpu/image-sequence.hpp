// The images of a list of forwards as one sequence of pixels and one sequence of token tiles.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/list-run.hpp"
#include "kernels/token-learner-params.hpp"

namespace tokenlearner::kernels {

/** All pixels of a list of forwards, in order. Items without images are left out. Immutable. */
class ImageSequence {
 public:
  /** Throws std::bad_alloc. The list must outlive it. */
  explicit ImageSequence(std::span<const ForwardParams> list) {
    sources_.reserve(list.size());
    items_.reserve(list.size());
    for (const ForwardParams& params : list) {
      if (params.batch == 0) continue;
      sources_.push_back(pixel_source(params, params.x, params.batch));
      items_.push_back({&params, pixels_});
      pixels_ += sources_.back().pixels;
    }
  }

  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }
  std::int64_t pixels() const { return pixels_; }
  const ForwardParams& params(std::size_t item) const { return *items_[item].params; }
  const PixelSource& source(std::size_t item) const { return sources_[item]; }

  /** A pixel of the sequence: pixel `pixel` of `source`. The later sources follow it in memory. */
  struct Position {
    const PixelSource* source;
    std::int64_t pixel;
  };

  /** Precondition: 0 <= pixel < pixels(). */
  Position at_pixel(std::int64_t pixel) const {
    const std::size_t item = item_at(pixel);
    return {&sources_[item], pixel - items_[item].first_pixel};
  }

  /** Pixels `pixel` to `pixel + count - 1` of image `image` of one forward. */
  struct Run {
    std::int64_t image;
    std::int64_t pixel;
    std::int64_t count;
  };

  /** Calls visit(params, run) for the pixels from `first` on, in order. A run ends with its image. */
  template <typename F>
  void for_each_run(std::int64_t first, std::int64_t pixels, const F& visit) const {
    for (std::size_t item = item_at(first); pixels > 0; ++item) {
      const std::int64_t per_image = sources_[item].height * sources_[item].width;
      std::int64_t at = first - items_[item].first_pixel;
      while (pixels > 0 && at < sources_[item].pixels) {
        const std::int64_t pixel = at % per_image;
        const std::int64_t count = std::min(pixels, per_image - pixel);
        visit(*items_[item].params, Run{at / per_image, pixel, count});
        at += count;
        first += count;
        pixels -= count;
      }
    }
  }

 private:
  struct Item {
    const ForwardParams* params;
    /** The position of its first pixel in the sequence. */
    std::int64_t first_pixel;
  };

  /** The item that holds a pixel: never one without pixels. */
  std::size_t item_at(std::int64_t pixel) const {
    const auto after =
        std::upper_bound(items_.begin(), items_.end(), pixel,
                         [](std::int64_t at, const Item& item) { return at < item.first_pixel; });
    return static_cast<std::size_t>(after - items_.begin()) - 1;
  }

  std::vector<PixelSource> sources_;
  std::vector<Item> items_;
  std::int64_t pixels_ = 0;
};

/**
 * The token product divided into tasks of about equal cost. A tile is a few channels of one image; its cost is
 * that of the image's pixels, which differ along the list.
 */
class TokenTasks {
 public:
  /** At least `least_cost` multiply-adds per task. Throws std::bad_alloc. */
  TokenTasks(const ImageSequence& images, std::int64_t tiles_per_image, std::int64_t pixel_cost,
             std::int64_t least_cost)
      : task_cost_(least_cost) {
    items_.reserve(images.size());
    std::int64_t first = 0;
    for (std::size_t i = 0; i < images.size(); ++i) {
      const PixelSource& source = images.source(i);
      const std::int64_t cost = std::max<std::int64_t>(source.height * source.width * pixel_cost, 1);
      const std::int64_t tiles = images.params(i).batch * tiles_per_image;
      items_.push_back({first, cost, tiles});
      first += tiles * cost;
      // No task is smaller than a tile.
      task_cost_ = std::max(task_cost_, cost);
    }
    count_ = divide_up(first, task_cost_);
  }

  std::int64_t count() const { return count_; }

  /** Calls visit(item, tile) for the tiles of a task: those that start within its share of the cost. */
  template <typename F>
  void for_each_tile(std::int64_t task, const F& visit) const {
    const std::int64_t begin = task * task_cost_;
    const std::int64_t end = begin + task_cost_;
    const auto after =
        std::upper_bound(items_.begin(), items_.end(), begin,
                         [](std::int64_t at, const Item& item) { return at < item.first_cost; });
    for (auto item = after - 1; item != items_.end() && item->first_cost < end; ++item) {
      const auto index = static_cast<std::size_t>(item - items_.begin());
      std::int64_t tile = divide_up(std::max<std::int64_t>(begin - item->first_cost, 0), item->tile_cost);
      for (; tile < item->tiles && item->first_cost + tile * item->tile_cost < end; ++tile)
        visit(index, tile);
    }
  }

 private:
  struct Item {
    /** The cost of all items before it. */
    std::int64_t first_cost;
    std::int64_t tile_cost;
    std::int64_t tiles;
  };

  std::vector<Item> items_;
  std::int64_t task_cost_;
  std::int64_t count_ = 0;
};

}  // namespace tokenlearner::kernels
