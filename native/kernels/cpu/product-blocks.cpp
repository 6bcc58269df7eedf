#include "kernels/cpu/product-blocks.hpp"

#include <algorithm>

#include "kernels/cpu/list-run.hpp"
#include "kernels/cpu/topology.hpp"

namespace tokenlearner::kernels {
namespace {

/** Whole chains of Note [Order of sums], for each type of inputs. */
constexpr std::int64_t kInputs = 64;
/** Whole panels of weights, for each instruction set. */
constexpr std::int64_t kRows = 96;
/** Of a thread's 4 MB. */
constexpr std::int64_t kMostSums = 512 << 10;

}  // namespace

ProductBlocks product_blocks(const ProductShape& shape) {
  const auto level1 = static_cast<std::int64_t>(cache_sizes().level1);
  const auto level2 = static_cast<std::int64_t>(cache_sizes().level2);
  const std::int64_t input_bytes = shape.panel_lanes * shape.element;
  // As many blocks of rows as needed, and all of about the same size.
  const auto even_blocks = [&](std::int64_t most) {
    const std::int64_t count = divide_up(shape.rows, std::max<std::int64_t>(most / kRows, 1) * kRows);
    return divide_up(divide_up(shape.rows, count), kRows) * kRows;
  };
  // C 320 fits in 48 KB, C 192 in 32 KB.
  const std::int64_t room = shape.divides_inputs ? level1 * 2 / 3 : level1 * 3 / 4;
  if (shape.inputs * input_bytes <= room)
    return {even_blocks(level2 / 3 / (shape.inputs * shape.element)), shape.inputs};
  if (!shape.divides_inputs) return {shape.panel_rows, shape.inputs};
  const std::int64_t most = std::max<std::int64_t>(room / input_bytes / kInputs, 1) * kInputs;
  const std::int64_t inputs =
      divide_up(divide_up(shape.inputs, divide_up(shape.inputs, most)), kInputs) * kInputs;
  const std::int64_t rows = std::min(level2 / 3 / inputs, std::min(level2 / 4, kMostSums) / shape.lanes);
  return {even_blocks(rows / shape.element), inputs};
}

std::int64_t sums_bytes(const ProductShape& shape, const ProductBlocks& blocks) {
  if (blocks.inputs >= shape.inputs) return 0;
  const std::int64_t rows = std::min(blocks.rows, divide_up(shape.rows, shape.panel_rows) * shape.panel_rows);
  return rows * shape.lanes * shape.element;
}

}  // namespace tokenlearner::kernels
