// Blocks of an image's pixels for the kernels of norm-mlp-kernels.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/aligned-buffer.hpp"
#include "kernels/cpu/norm-mlp-kernels.hpp"

namespace tokenlearner::kernels {

/** Sizes of blocks. They depend only on C and the instruction set, since the order of sums depends on them. */
struct BlockPlan {
  /** Panels of a block. */
  static constexpr std::int64_t kMostPanels = 4;
  /** Bytes of a block's pixels: they stay in the level 2 cache. */
  static constexpr std::int64_t kBlockBytes = 512 << 10;
  /** With tens of thousands of channels a panel is narrower. */
  static constexpr std::int64_t kPanelBytes = 3 << 20;

  BlockPlan(const TypedKernels& kernels, std::int64_t channels, std::size_t item)
      : element(static_cast<std::int64_t>(item)), widest(kernels.panel_pixels), few(kernels.few_pixels) {
    const std::int64_t panel_bytes = kernels.packed_bytes(channels, widest);
    panel =
        panel_bytes <= kPanelBytes ? widest : std::max<std::int64_t>(1, widest * kPanelBytes / panel_bytes);
    block = panel * std::clamp<std::int64_t>(kBlockBytes / panel_bytes, 1, kMostPanels);
    lane = kernels.lanes;
    pixel_bytes = kernels.packed_bytes(channels, widest) / widest;
  }

  /** Lanes of a row of a block: the last two panels may be padded. */
  std::int64_t lanes() const { return (block / panel) * widest + 2 * widest; }
  /** Scratch of a block: its panels, and three rows. */
  std::int64_t bytes() const { return lanes() * (pixel_bytes + 3 * element); }

  std::int64_t element;
  /** Pixels of the widest panel that the kernels have. */
  std::int64_t widest;
  /** See TypedKernels::few_pixels. */
  std::int64_t few;
  /** Pixels of a panel, and of a block. */
  std::int64_t panel;
  std::int64_t block;
  /** Lanes of a vector. */
  std::int64_t lane;
  /** Bytes of a packed pixel. */
  std::int64_t pixel_bytes;
};

/** The memory of `pixels` pixels from `first` on, for a product to fetch: none if they are not adjacent. `item` is the size of an element. */
inline RowsAhead rows_ahead(const PixelSource& source, std::int64_t channels, std::int64_t item,
                            std::int64_t first, std::int64_t pixels) {
  if (pixels <= 0 || !is_one_run(source, first, pixels)) return {};
  const char* const from = static_cast<const char*>(source.x) + offset_of(source, first) * item;
  std::int64_t stride = 0;
  if (source.pixel_stride == 1) stride = source.channel_stride * item;
  // The pixels are one run of memory: a row is the part of a channel's share.
  if (source.channel_stride == 1 && source.pixel_stride == channels) stride = pixels * item;
  if (stride == 0) return {};
  constexpr std::int64_t kLine = 64;
  const bool is_aligned =
      (reinterpret_cast<std::uintptr_t>(from) | static_cast<std::uintptr_t>(stride)) % kLine == 0;
  return {from, stride, (pixels * item + (is_aligned ? kLine - 1 : 2 * kLine - 2)) / kLine};
}

/** One block in scratch memory. */
class PixelBlock {
 public:
  /** `memory` has plan.bytes(). */
  PixelBlock(const BlockPlan& plan, const TypedKernels& typed, const NormMlpKernels& kernels,
             std::int64_t channels, std::int64_t pixels, char* memory)
      : plan_(plan), kernels_(kernels), channels_(channels) {
    mean_ = memory;
    scale_ = mean_ + plan.lanes() * plan.element;
    shift_ = scale_ + plan.lanes() * plan.element;
    char* x = shift_ + plan.lanes() * plan.element;
    for (std::int64_t done = 0; done < pixels;) {
      const std::int64_t count = next_panel(pixels - done);
      const std::int64_t bytes = typed.packed_bytes(channels, count);
      const std::int64_t width = bytes / (channels * plan.element);
      panels_[count_++] = {x, lanes_, count, width};
      lanes_ += width;
      done += count;
      x += bytes;
    }
    stride_ = (lanes_ + plan.lane - 1) / plan.lane * plan.lane;
    // Nothing writes the means of lanes that fill up a row.
    std::memset(mean_ + lanes_ * plan.element, 0,
                static_cast<std::size_t>((stride_ - lanes_) * plan.element));
  }

  /** Packs the pixels of a panel, from `first` on, and subtracts their means. */
  void pack(const PanelView& panel, const PixelSource& source, std::int64_t first, double eps) const {
    kernels_.centre({source, channels_, first, panel.pixels, eps, const_cast<void*>(panel.x),
                     at(mean_, panel), at(scale_, panel), at(shift_, panel)});
  }

  /** The pixels of the panel behind panel `i`, which start at `first`; none behind the last one. */
  RowsAhead behind(std::int64_t i, const PixelSource& source, std::int64_t first, std::int64_t item) const {
    return i + 1 < count_ ? rows_ahead(source, channels_, item, first, panels_[i + 1].pixels) : RowsAhead{};
  }

  const PanelView* panels() const { return panels_; }
  std::int64_t count() const { return count_; }
  std::int64_t lanes() const { return lanes_; }
  /** lanes() rounded up to whole vectors. */
  std::int64_t stride() const { return stride_; }
  const void* mean() const { return mean_; }
  const void* scale(const PanelView& panel) const { return at(scale_, panel); }
  const void* shift(const PanelView& panel) const { return at(shift_, panel); }

 private:
  char* at(char* row, const PanelView& panel) const { return row + panel.lane * plan_.element; }

  /** Pixels of the next panel. A few pixels beyond whole vectors have a panel of their own, where that is not padded. */
  std::int64_t next_panel(std::int64_t left) const {
    if (left >= plan_.panel) return plan_.panel;
    const std::int64_t whole = left / plan_.lane * plan_.lane;
    return whole > 0 && left - whole <= plan_.few ? whole : left;
  }

  const BlockPlan& plan_;
  const NormMlpKernels& kernels_;
  std::int64_t channels_;
  char* mean_;
  char* scale_;
  char* shift_;
  PanelView panels_[BlockPlan::kMostPanels + 2];
  std::int64_t count_ = 0;
  std::int64_t lanes_ = 0;
  std::int64_t stride_ = 0;
};

}  // namespace tokenlearner::kernels
