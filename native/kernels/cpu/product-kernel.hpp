// Products of a layer's weights and the pixels. The file that includes this one has opened its own namespace.
//
// In is the type of packed pixels and weights, and SumOf<In> the type of the sums: packed-inputs.hpp.
//
// The micro-kernel holds kRows x kVectors accumulators. They start from the bias and take one step per input:
// the outer product of a panel of weights and a panel of pixels. Then an epilogue takes the
// accumulators from the registers. attention-kernel.hpp and hidden-kernel.hpp have the epilogues.

// Note: [Order of sums]
// h is a sum over blocks of 64 channels, in order. Each block is one chain of (fused) multiply-adds. A is
// a compensated sum over row panels, in order. Both orders are the same for every panel width. So neither h
// nor A depends on where a pixel lies or which thread computes it.
//
// The blocks are for accuracy. A rounding error grows with the square root of a chain's length: one chain
// over 768 channels has 2.5 times the error of the product that PyTorch calls (root mean square of A: 8e-7
// against 3e-7). Blocks of 64 bring it to 2e-7 at every C.
template <typename In>
constexpr std::int64_t kBlock = 64 / kChannelsOf<In>;

/** See Note [Blocks of a product]. */
constexpr bool kDividesInputs = TOKENLEARNER_VECTOR_BYTES != 64;

template <typename T, int kLanes, int kWide>
using Tile = Vector<T, kLanes>[kRows][kWide];

// Note: [Fetching ahead]
// While it computes, a product fetches what is read next: the hardware's own prefetching stops at page boundaries. That is the
// next panel of weights, or the pixels of the next panel where the caller says so: few rows of weights stay in a cache, but x comes
// from memory, and LayerNorm would wait for it. The lines of those pixels are spread over the panels of weights, and in each over its
// blocks of inputs, as evenly as whole blocks can be.

/** Fetches a cache line an input, `step` bytes after the one before. */
struct Fetch {
  const char* at;
  std::int64_t step;
};

// Note: [Narrow panels]
// With one vector of pixels, a panel of weights has kRows chains of multiply-adds. Four of them do not keep two multipliers busy, each
// of which takes four cycles. So two panels of weights are taken at once then.
template <int kWide>
constexpr int kNarrowPanels = kWide == 1 && kRows == 4 ? 2 : 1;

/** acc += one outer product per input and panel of weights, which lie `panel` apart. Advances x and weight. */
template <typename In, int kLanes, int kWide, int kPanels>
TOKENLEARNER_ALWAYS_INLINE void multiply(Tile<SumOf<In>, kLanes, kWide> (&acc)[kPanels], const In*& weight,
                                         const In*& x, std::int64_t inputs, std::int64_t panel, Fetch fetch) {
  using V = Vector<In, kLanes>;
  for (std::int64_t c = 0; c < inputs; ++c) {
    __builtin_prefetch(fetch.at);
    fetch.at += fetch.step;
    V pixels[kWide];
#pragma GCC unroll 4
    for (int j = 0; j < kWide; ++j) pixels[j] = load<In, kLanes>(x + j * kLanes);
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const V factor = broadcast_element<In, kLanes>(weight + p * panel, r);
#pragma GCC unroll 4
        for (int j = 0; j < kWide; ++j)
          acc[p][r][j] = add_product<In, kLanes>(factor, pixels[j], acc[p][r][j]);
      }
    }
    x += kWide * kLanes;
    weight += kRows;
  }
}

/** A block of a product's inputs: Note [Blocks of a product]. */
template <typename In>
struct InputBlock {
  /** Of row 0 and the first input of the block. */
  const In* weight;
  const SumOf<In>* bias;
  /** Of the product. */
  std::int64_t row_inputs;
  std::int64_t rows;
  /** Of the block. */
  std::int64_t inputs;
  bool is_first;
  bool is_last;
};

/** What one panel of weights fetches of RowsAhead: a line of each row, in one of `period` blocks of inputs. */
struct LineAhead {
  /** Of the first input; null for none. */
  const char* line = nullptr;
  std::int64_t stride = 0;
  std::int64_t period = 1;
  /** The number of a block less this is a multiple of `period`. */
  std::int64_t phase = 0;
};

/** The part of panel `panel` of `panels` panels of weights, from input `input` on. */
TOKENLEARNER_ALWAYS_INLINE LineAhead line_ahead(const RowsAhead& rows, std::int64_t panel,
                                                std::int64_t panels, std::int64_t input) {
  if (rows.lines == 0) return {};
  const std::int64_t period = panels > rows.lines ? panels / rows.lines : 1;
  const std::int64_t line = panel / period;
  if (line >= rows.lines) return {};
  return {rows.first + input * rows.stride + line * 64, rows.stride, period, panel % period};
}

/** The panel of weights from `row` on, and one panel of pixels. */
template <typename In>
struct PanelPair {
  const InputBlock<In>& block;
  std::int64_t row;
  const In* x;
  /** [row of the panel][pixel]: the sums of the blocks before this one. If it is not the last one, they will include it. */
  SumOf<In>* sums;
  LineAhead ahead = {};

  const In* weight() const { return block.weight + row * block.row_inputs; }
  const SumOf<In>* bias() const { return block.bias + row; }
  /** Valid rows: several panels at once are full. */
  int rows() const { return static_cast<int>(block.rows - row < kRows ? block.rows - row : kRows); }
  /** What block `index` of the inputs fetches. Its weights start at `own`. */
  Fetch fetch(std::int64_t index, const In* own) const {
    if (ahead.line != nullptr && index % ahead.period == ahead.phase)
      return {ahead.line + index * kBlock<In> * ahead.stride, ahead.stride};
    return {reinterpret_cast<const char*>(own + block.row_inputs * kRows), kRows * sizeof(In)};
  }
};

// An epilogue has two functions. Both get the sums of one panel of weights, of which `rows` rows are valid:
//   take<kLanes, kWide>(acc, rows)     acc[r] has row r of kWide vectors of pixels
//   take_few<kCount, kWidth>(acc, rows)   acc[j] has the rows of pixel j, in a panel of kWidth vector lanes

/**
 * `kPanels` panels of weights from pair.row on, and one panel of pixels. The sums of two panels lie `sums_panel` apart.
 * `epilogue(p)` makes that of panel p. Not inlined: in a function with several of them the compiler does not keep their sums in
 * registers.
 */
template <typename In, int kLanes, int kWide, int kPanels, typename MakeEpilogue>
[[gnu::noinline]] void micro_kernel(const PanelPair<In>& pair, std::int64_t sums_panel,
                                    const MakeEpilogue& epilogue) {
  using T = SumOf<In>;
  using Sums = Tile<T, kLanes, kWide>[kPanels];
  const In* weight = pair.weight();
  const In* x = pair.x;
  const std::int64_t panel = pair.block.row_inputs * kRows;
  std::int64_t left = pair.block.inputs;
  std::int64_t index = 0;
  // Calls visit(sum, p, r, j) for each vector of sums.
  const auto each = [](Sums& sums, const auto& visit) __attribute__((always_inline)) {
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) {
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (int j = 0; j < kWide; ++j) visit(sums[p][r][j], p, r, j);
      }
    }
  };
  const auto before = [&](int p, int r, int j) __attribute__((always_inline)) {
    return pair.sums + p * sums_panel + (r * kWide + j) * kLanes;
  };
  const auto multiply_block = [&](Sums& sums) __attribute__((always_inline)) {
    multiply<In, kLanes, kWide, kPanels>(sums, weight, x, left < kBlock<In> ? left : kBlock<In>, panel,
                                         pair.fetch(index++, weight));
    left -= kBlock<In>;
  };
  Sums acc;
  if (pair.block.is_first) {
    const T* const bias = pair.bias();
    each(acc, [&](auto& sum, int p, int r, int)
                  __attribute__((always_inline)) { sum = broadcast<T, kLanes>(bias[p * kRows + r]); });
    multiply_block(acc);
  } else {
    each(acc, [&](auto& sum, int p, int r, int j)
                  __attribute__((always_inline)) { sum = load<T, kLanes>(before(p, r, j)); });
  }
  if (left > 0) {
    Sums total;
    each(total, [&](auto& sum, int p, int r, int j) __attribute__((always_inline)) { sum = acc[p][r][j]; });
    while (left > 0) {
      each(acc, [](auto& sum, int, int, int) __attribute__((always_inline)) { sum = Vector<T, kLanes>{}; });
      multiply_block(acc);
      each(total,
           [&](auto& sum, int p, int r, int j) __attribute__((always_inline)) { sum += acc[p][r][j]; });
    }
    each(acc, [&](auto& sum, int p, int r, int j) __attribute__((always_inline)) { sum = total[p][r][j]; });
  }
  if (pair.block.is_last) {
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) epilogue(p).template take<kLanes, kWide>(acc[p], pair.rows());
    return;
  }
  each(acc, [&](auto& sum, int p, int r, int j)
                __attribute__((always_inline)) { store<T, kLanes>(before(p, r, j), sum); });
}

// Note: [Few pixels]
// For the last few pixels of a product the vector lanes hold hidden rows instead of pixels, so that none is idle. A panel of
// weights has then a chain of multiply-adds for each pixel, in which each waits for the one before it. So several panels are
// taken at once: about eight chains keep the multipliers busy. Each sum has the same terms in the same order as in micro_kernel.
template <int kCount>
constexpr int kPanelsAtOnce = kCount == 1   ? 8
                              : kCount == 2 ? 4
                                            : 2;

/** acc += one outer product per input, with hidden rows in the vector lanes. Advances x and weight. */
template <typename In, int kCount, int kWidth, int kPanels>
TOKENLEARNER_ALWAYS_INLINE void multiply_few(Vector<SumOf<In>, kRows> (&acc)[kPanels][kCount],
                                             const In*& weight, const In*& x, std::int64_t inputs,
                                             std::int64_t panel) {
  for (std::int64_t c = 0; c < inputs; ++c) {
    // For more panels there would be as many prefetches as products.
    if constexpr (kPanels <= 2) __builtin_prefetch(weight + kPanels * panel);
    Vector<In, kRows> pixels[kCount];
#pragma GCC unroll 8
    for (int j = 0; j < kCount; ++j) pixels[j] = broadcast<In, kRows>(x[j]);
#pragma GCC unroll 8
    for (int p = 0; p < kPanels; ++p) {
      const auto factors = load<In, kRows>(weight + p * panel);
#pragma GCC unroll 8
      for (int j = 0; j < kCount; ++j) acc[p][j] = add_product<In, kRows>(factors, pixels[j], acc[p][j]);
    }
    x += kWidth;
    weight += kRows;
  }
}

/**
 * `kPanels` panels of weights from pair.row on, and the last kCount pixels, in a panel of kWidth vector lanes. The sums of two
 * panels lie `sums_panel` apart. `epilogue(p)` makes that of panel p.
 */
template <typename In, int kCount, int kWidth, int kPanels, typename MakeEpilogue>
[[gnu::noinline]] void few_pixels_kernel(const PanelPair<In>& pair, std::int64_t sums_panel,
                                         const MakeEpilogue& epilogue) {
  using T = SumOf<In>;
  using V = Vector<T, kRows>;
  const In* weight = pair.weight();
  const In* x = pair.x;
  const std::int64_t panel = pair.block.row_inputs * kRows;
  std::int64_t left = pair.block.inputs;
  const auto sums = [&](int p, int j)
                        __attribute__((always_inline)) { return pair.sums + p * sums_panel + j * kRows; };
  V total[kPanels][kCount];
#pragma GCC unroll 8
  for (int p = 0; p < kPanels; ++p) {
#pragma GCC unroll 8
    for (int j = 0; j < kCount; ++j)
      total[p][j] = load<T, kRows>(pair.block.is_first ? pair.bias() + p * kRows : sums(p, j));
  }
  if (pair.block.is_first) {
    multiply_few<In, kCount, kWidth, kPanels>(total, weight, x, left < kBlock<In> ? left : kBlock<In>, panel);
    left -= kBlock<In>;
  }
  for (; left > 0; left -= kBlock<In>) {
    V acc[kPanels][kCount] = {};
    multiply_few<In, kCount, kWidth, kPanels>(acc, weight, x, left < kBlock<In> ? left : kBlock<In>, panel);
#pragma GCC unroll 8
    for (int p = 0; p < kPanels; ++p) {
#pragma GCC unroll 8
      for (int j = 0; j < kCount; ++j) total[p][j] += acc[p][j];
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < kPanels; ++p) {
    if (pair.block.is_last) {
      epilogue(p).template take_few<kCount, kWidth>(total[p], pair.rows());
    } else {
#pragma GCC unroll 8
      for (int j = 0; j < kCount; ++j) store<T, kRows>(sums(p, j), total[p][j]);
    }
  }
}

/** Up to this number of pixels, few_pixels_kernel takes less time than micro_kernel on a panel. 0 if it cannot be used. */
template <typename In>
constexpr std::int64_t kFewPixels = kRows * sizeof(In) <= TOKENLEARNER_VECTOR_BYTES ? kRows / 2 : 0;

/** Lanes of the panel of so few pixels: the same as panel_width() returns. */
template <typename In>
constexpr int kNarrowest =
    static_cast<int>(TOKENLEARNER_VECTOR_BYTES == 64 ? kLanesOf<In> / 2 : kLanesOf<In>);

/** Calls run<kPanels>(row) for the panels of weights from `row` to `end`, kPanels at once, then run<1>(row) for each that is left. */
template <int kPanels, typename Run>
TOKENLEARNER_ALWAYS_INLINE void for_panels(std::int64_t row, std::int64_t end, const Run& run) {
  for (; row + kPanels * kRows <= end; row += kPanels * kRows) run.template operator()<kPanels>(row);
  for (; row < end; row += kRows) run.template operator()<1>(row);
}

/**
 * The panels of weights from `row` to `end`, and the last `count` pixels: kCount or more, at most kFewPixels. `pair(row)` and
 * `epilogue(row)` make those of a panel.
 */
template <typename In, int kCount, typename MakePair, typename MakeEpilogue>
TOKENLEARNER_ALWAYS_INLINE void run_few_pixels(std::int64_t count, std::int64_t row, std::int64_t end,
                                               std::int64_t sums_panel, const MakePair& pair,
                                               const MakeEpilogue& epilogue) {
  static_assert(kCount <= kNarrowest<In>);
  if constexpr (kCount < kFewPixels<In>) {
    if (count > kCount) return run_few_pixels<In, kCount + 1>(count, row, end, sums_panel, pair, epilogue);
  }
  const auto run = [&]<int kPanels>(std::int64_t first) __attribute__((always_inline)) {
    few_pixels_kernel<In, kCount, kNarrowest<In>, kPanels>(
        pair(first), sums_panel, [&](int p) { return epilogue(first + p * kRows); });
  };
  for_panels<kPanelsAtOnce<kCount>>(row, end, run);
}

/** The panels of weights from `row` to `end`, and a panel of kWide vectors of pixels. The rest is as for run_few_pixels(). */
template <typename In, int kLanes, int kWide, typename MakePair, typename MakeEpilogue>
TOKENLEARNER_ALWAYS_INLINE void run_panels(std::int64_t row, std::int64_t end, std::int64_t sums_panel,
                                           const MakePair& pair, const MakeEpilogue& epilogue) {
  const auto run = [&]<int kPanels>(std::int64_t first) __attribute__((always_inline)) {
    micro_kernel<In, kLanes, kWide, kPanels>(pair(first), sums_panel,
                                             [&](int p) { return epilogue(first + p * kRows); });
  };
  for_panels<kNarrowPanels<kWide>>(row, end, run);
}

/** The same for the panel that starts where `remaining` pixels are left: more than kFewPixels<In>. */
template <typename In, typename MakePair, typename MakeEpilogue>
TOKENLEARNER_ALWAYS_INLINE void run_micro_kernels(std::int64_t remaining, std::int64_t row, std::int64_t end,
                                                  std::int64_t sums_panel, const MakePair& pair,
                                                  const MakeEpilogue& epilogue) {
  constexpr int kLanes = static_cast<int>(kLanesOf<In>);
  const std::int64_t width = panel_width<In>(remaining);
  if (width == kLanes) return run_panels<In, kLanes, 1>(row, end, sums_panel, pair, epilogue);
  if (width == 2 * kLanes) return run_panels<In, kLanes, 2>(row, end, sums_panel, pair, epilogue);
  if constexpr (kVectors == 3) {
    if (width == 3 * kLanes) return run_panels<In, kLanes, 3>(row, end, sums_panel, pair, epilogue);
  }
  if constexpr (TOKENLEARNER_VECTOR_BYTES == 64)
    return run_panels<In, kLanes / 2, 1>(row, end, sums_panel, pair, epilogue);
}

/** Runs the product. `epilogue(row, pixel)` makes the epilogue of the panels that start there. */
template <typename In, typename MakeEpilogue>
TOKENLEARNER_ALWAYS_INLINE void run_product(const ProductTile& tile, const MakeEpilogue& epilogue) {
  constexpr std::int64_t kWidest = kVectors * kLanesOf<In>;
  const ProductBlocks& blocks = tile.blocks;
  const std::int64_t full = tile.pixels / kWidest * kWidest;
  const std::int64_t lanes = tile.pixels > full ? full + panel_width<In>(tile.pixels - full) : full;
  for (std::int64_t first_row = 0; first_row < tile.rows; first_row += blocks.rows) {
    const std::int64_t end = first_row + blocks.rows < tile.rows ? first_row + blocks.rows : tile.rows;
    for (std::int64_t input = 0; input < tile.inputs; input += blocks.inputs) {
      const std::int64_t left = tile.inputs - input;
      const InputBlock<In> block{
          .weight = static_cast<const In*>(tile.layer.weight) + input * kRows,
          .bias = static_cast<const SumOf<In>*>(tile.layer.bias),
          .row_inputs = tile.inputs,
          .rows = tile.rows,
          .inputs = left < blocks.inputs ? left : blocks.inputs,
          .is_first = input == 0,
          .is_last = left <= blocks.inputs,
      };
      for (std::int64_t pixel = 0; pixel < tile.pixels; pixel += kWidest) {
        const std::int64_t width = pixel < full ? kWidest : lanes - full;
        const In* const x = static_cast<const In*>(tile.x) + pixel * tile.inputs + input * width;
        SumOf<In>* const sums = static_cast<SumOf<In>*>(tile.sums) + pixel * kRows;
        const auto pair = [&](std::int64_t row) {
          return PanelPair<In>{block, row, x, sums + (row - first_row) * lanes,
                               line_ahead(tile.ahead, row / kRows, (tile.rows + kRows - 1) / kRows, input)};
        };
        const auto panel_epilogue = [&](std::int64_t row) { return epilogue(row, pixel); };
        const std::int64_t remaining = tile.pixels - pixel;
        if constexpr (kFewPixels<In> > 0) {
          if (remaining <= kFewPixels<In>) {
            run_few_pixels<In, 1>(remaining, first_row, end, kRows * lanes, pair, panel_epilogue);
            continue;
          }
        }
        run_micro_kernels<In>(remaining, first_row, end, kRows * lanes, pair, panel_epilogue);
      }
    }
  }
}
