// How a product is divided, so that its operands come from the caches.
#pragma once

#include <cstdint>

namespace tokenlearner::kernels {

// Note: [Blocks of a product]
// A product runs as: for each block of rows, for each block of inputs, for each panel of pixels, for each panel of the rows.
//   - The inner loop reads one block of inputs of one panel of pixels again and again: from the level 1 cache. An Intel core with
//     AVX2 takes a fifth more time where they come from the level 2 cache (C 320).
//   - The block of rows, with those inputs, stays in the level 2 cache while the panels of pixels pass. So the weights, which may
//     have tens of megabytes, are read from memory once for each block of pixels.
//   - Where there are several blocks of inputs, the sums wait in memory for the next one: a load and a store for a hundred
//     multiply-adds or more.
// Without blocks of inputs, a panel of pixels that does not fit in the level 1 cache streams from the level 2 cache, and a panel
// of weights stays: the block of rows is one panel. AVX-512 does so: with blocks it takes 2 to 4 % more time.
// The result does not depend on the sizes: a block of inputs has whole chains of Note [Order of sums].
struct ProductBlocks {
  std::int64_t rows;
  std::int64_t inputs;
};

/** A product, in elements of `element` bytes. */
struct ProductShape {
  std::int64_t rows;
  std::int64_t inputs;
  /** Rows of a panel of weights. */
  std::int64_t panel_rows;
  /** Vector lanes of all panels of pixels, and of the widest one. */
  std::int64_t lanes;
  std::int64_t panel_lanes;
  std::int64_t element;
  bool divides_inputs;
};

/** For this machine's caches. */
ProductBlocks product_blocks(const ProductShape& shape);

/** Bytes of ProductTile::sums. */
std::int64_t sums_bytes(const ProductShape& shape, const ProductBlocks& blocks);

}  // namespace tokenlearner::kernels
