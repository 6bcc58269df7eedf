// The product of packed pairs in tiles of 16 x 16 sums. The file that includes this one has opened its own namespace.

// Note: [Tiles]
// Four tiles hold the sums of 32 rows of weights and 32 pixels. A step takes 32 channels: it loads two tiles of weights and two
// of pixels, and adds four products of 16 x 32 x 16. The packed pixels and weights have the layout that the tiles need, so that
// nothing is rearranged. The sums go through memory to the epilogue, eight rows at a time, as product-kernel.hpp does. A sum is
// one over blocks of 32 channels, in order, whatever the panel: Note [Order of sums].
//
// Time of float32 over time of bfloat16, one thread of a Xeon with AMX on a machine in use, medians of 9 interleaved runs:
// C 256, 10x10: 3.5; C 256, 16 x 10x10: 4.9; C 512, 6 x 9x9: 4.4; C 768, 7x7: 3.4; C 1024, 14x14: 4.0; C 320, 12x20: 4.3; C 64,
// 32x32: 2.6. C 24, 10x10: 1.5. With three layers, C 128, 14x14: 1.3, because the second layer's product is in float32.

/** sums[row][pixel] of one panel of weights and kWide vectors of pixels, in panels of `width` pixels. */
template <int kWide>
TOKENLEARNER_ALWAYS_INLINE void multiply_tiles(Tiles& tiles, const Pair* weight, const Pair* x,
                                               std::int64_t inputs, std::int64_t width, float* sums) {
  constexpr int kTile = kPairRows / 2 * kPairRun;
  tiles.zero<0>();
  tiles.zero<2>();
  if constexpr (kWide == 2) tiles.zero<1>(), tiles.zero<3>();
  for (std::int64_t done = 0; done < inputs; done += kPairRun) {
    tiles.load<4>(weight, kPairRun);
    tiles.load<6>(x, width);
    tiles.add_products<0, 4, 6>();
    tiles.load<5>(weight + kTile, kPairRun);
    tiles.add_products<2, 5, 6>();
    if constexpr (kWide == 2) {
      tiles.load<7>(x + 16, width);
      tiles.add_products<1, 4, 7>();
      tiles.add_products<3, 5, 7>();
    }
    weight += 2 * kTile;
    x += kPairRun * width;
  }
  constexpr int kStride = kWide * 16;
  tiles.store<0>(sums, kStride);
  tiles.store<2>(sums + 16 * kStride, kStride);
  if constexpr (kWide == 2) {
    tiles.store<1>(sums + 16, kStride);
    tiles.store<3>(sums + 16 * kStride + 16, kStride);
  }
}

/** Eight rows of sums, plus the bias. `stride` is that of a row in memory. */
template <int kLanes, int kWide, typename Epilogue>
void take_rows(const float* sums, std::int64_t stride, const float* bias, int rows,
               const Epilogue& epilogue) {
  Tile<float, kLanes, kWide> acc;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int j = 0; j < kWide; ++j) {
      acc[r][j] = load<float, kLanes>(sums + r * stride + j * kLanes) + broadcast<float, kLanes>(bias[r]);
    }
  }
  epilogue.template take<kLanes, kWide>(acc, rows);
}

/** The same as in product-kernel.hpp, in tiles. In panels of 8 pixels a tile also reads the 32 bytes behind each row. */
template <typename In, typename MakeEpilogue>
  requires std::is_same_v<In, Pair>
void run_product(const ProductTile& tile, const MakeEpilogue& epilogue) {
  static_assert(kVectors == 2 && kLanesOf<float> == 16 && kPairRows % kRows == 0);
  constexpr std::int64_t kWidest = 32;
  Tiles tiles;
  alignas(64) float sums[kPairRows * kWidest];
  const auto run = [&](std::int64_t row, std::int64_t pixel) {
    const auto* weight = static_cast<const Pair*>(tile.layer.weight) + row * tile.inputs;
    const auto* x = static_cast<const Pair*>(tile.x) + pixel * tile.inputs;
    const std::int64_t width = panel_width<Pair>(tile.pixels - pixel);
    const std::int64_t stride = width == kWidest ? kWidest : 16;
    if (width == kWidest) {
      multiply_tiles<2>(tiles, weight, x, tile.inputs, width, sums);
    } else {
      multiply_tiles<1>(tiles, weight, x, tile.inputs, width, sums);
    }
    for (std::int64_t r = 0; r < kPairRows && row + r < tile.rows; r += kRows) {
      const float* bias = static_cast<const float*>(tile.layer.bias) + row + r;
      const int rows = static_cast<int>(tile.rows - row - r < kRows ? tile.rows - row - r : kRows);
      if (width == kWidest) {
        take_rows<16, 2>(sums + r * stride, stride, bias, rows, epilogue(row + r, pixel));
      } else if (width == 16) {
        take_rows<16, 1>(sums + r * stride, stride, bias, rows, epilogue(row + r, pixel));
      } else {
        take_rows<8, 1>(sums + r * stride, stride, bias, rows, epilogue(row + r, pixel));
      }
    }
  };
  // Note [Blocks of a product]. The inputs are not divided.
  for (std::int64_t first = 0; first < tile.rows; first += tile.blocks.rows) {
    const std::int64_t end = first + tile.blocks.rows < tile.rows ? first + tile.blocks.rows : tile.rows;
    for (std::int64_t pixel = 0; pixel < tile.pixels; pixel += kWidest) {
      for (std::int64_t row = first; row < end; row += kPairRows) run(row, pixel);
    }
  }
}
