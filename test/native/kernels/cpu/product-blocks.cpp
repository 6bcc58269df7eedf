// A product has the same bits in any blocks, and blocks fit the caches.
#include "kernels/cpu/product-blocks.hpp"

#include <doctest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "kernels/cpu/list-run.hpp"
#include "kernels/cpu/topology.hpp"
#include "pair-variants.hpp"
#include "run.hpp"

namespace {

using namespace test;

/** Bytes on a cache line boundary, with room behind them: tiles read 32 bytes behind a row. */
class Bytes {
 public:
  explicit Bytes(std::int64_t count) : memory_(static_cast<std::size_t>(count) + 128, 0xff) {}
  unsigned char* data() {
    return memory_.data() + (64 - reinterpret_cast<std::uintptr_t>(memory_.data()) % 64) % 64;
  }

 private:
  std::vector<unsigned char> memory_;
};

/** A of one group, by kernels.first_attention, and the first layer's outputs, by kernels.first_layer. */
std::vector<unsigned char> run(const Problem& problem, const PackedWeights& weights,
                               const TypedKernels& kernels, const ProductBlocks& blocks) {
  const std::int64_t pixels = problem.config().batch * problem.config().pixels();
  const std::int64_t element = static_cast<std::int64_t>(item_size(weights.compute()));
  const std::int64_t inputs = kernels.pixel_rows(weights.channels());
  const std::int64_t lanes = (pixels / kernels.panel_pixels + 1) * kernels.panel_pixels;
  Bytes x(kernels.packed_bytes(inputs, pixels));
  const ForwardParams params = problem.params(nullptr, nullptr);
  const PixelSource source = pixel_source(params, params.x, params.batch);
  kernels.pack_pixels(&source, weights.channels(), 0, pixels, x.data());
  Bytes sums((weights.hidden() + 96) * lanes * element);
  const ProductTile product{x.data(), pixels,     inputs, weights.hidden(), weights.layer(0, 0),
                            blocks,   sums.data()};
  Bytes map(2 * lanes * element);
  kernels.first_attention({product, weights.layer(0, 1), map.data()});
  const std::int64_t layer_bytes = kernels.packed_bytes(weights.hidden(), pixels);
  Bytes layer(layer_bytes);
  kernels.first_layer({product, true, layer.data()});
  std::vector<unsigned char> result(map.data(), map.data() + pixels * element);
  result.insert(result.end(), layer.data(), layer.data() + layer_bytes);
  return result;
}

void check_blocks(const TypedKernels& kernels, const PackedWeights& weights, const Problem& problem) {
  const std::int64_t inputs = kernels.pixel_rows(weights.channels());
  const std::vector<unsigned char> whole = run(problem, weights, kernels, {weights.hidden(), inputs});
  for (const std::int64_t rows : {std::int64_t{96}, std::int64_t{192}}) {
    for (const std::int64_t block : {std::int64_t{64}, std::int64_t{128}, inputs}) {
      CAPTURE(rows);
      CAPTURE(block);
      CHECK((run(problem, weights, kernels, {rows, block}) == whole));
    }
  }
}

}  // namespace

TEST_SUITE("kernels/product-blocks") {
  TEST_CASE("any blocks give the same bits") {
    for_each_isa([](Isa isa) {
      for (const DType dtype : {DType::float32, DType::float64}) {
        // Widths of the last panel: full ones alone, one or a few pixels, and each number of vectors.
        for (const std::int64_t pixels : {1, 2, 5, 24, 29, 33, 53, 81}) {
          CAPTURE(dtype);
          CAPTURE(pixels);
          const Problem problem({1, 200, 1, pixels, 1, 1}, dtype);
          std::shared_ptr<const PackedWeights> weights;
          const TypedKernels& kernels = kernels_of(isa).of(dtype);
          REQUIRE(PackedWeights::pack(problem.weights(), isa, kernels, weights) == Status::ok);
          check_blocks(kernels, *weights, problem);
        }
      }
    });
  }

  TEST_CASE("any blocks give the same bits for pairs") {
    for (const PairVariant& variant : pair_variants()) {
      for (const std::int64_t pixels : {1, 4, 17, 53}) {
        CAPTURE(variant.name);
        CAPTURE(pixels);
        const Problem problem({1, 400, 1, pixels, 1, 1}, DType::bfloat16);
        std::shared_ptr<const PackedWeights> weights;
        REQUIRE(PackedWeights::pack(problem.weights(), variant.isa, *variant.kernels, weights) == Status::ok);
        check_blocks(*variant.kernels, *weights, problem);
      }
    }
  }

  TEST_CASE("blocks hold whole chains and panels, and fit the caches") {
    const auto level2 = static_cast<std::int64_t>(cache_sizes().level2);
    for (const bool divides : {false, true}) {
      for (const std::int64_t panel_rows : {4, 8, 32}) {
        for (const std::int64_t inputs : {1, 48, 64, 256, 320, 512, 1000, 4096, 100'000}) {
          for (const std::int64_t rows : {1, 64, 1024, 100'000}) {
            const ProductShape shape{rows, inputs, panel_rows, 96, 24, 4, divides};
            CAPTURE(shape.divides_inputs);
            CAPTURE(shape.inputs);
            CAPTURE(shape.rows);
            const ProductBlocks blocks = product_blocks(shape);
            CHECK(blocks.rows >= panel_rows);
            CHECK(blocks.rows % panel_rows == 0);
            CHECK((blocks.inputs == inputs || blocks.inputs % 64 == 0));
            CHECK(blocks.inputs <= inputs);
            if (!divides) CHECK(blocks.inputs == inputs);
            const std::int64_t sums = sums_bytes(shape, blocks);
            CHECK((sums == 0) == (blocks.inputs == inputs));
            CHECK(sums <= level2);
            CHECK(sums <= 512 << 10);
          }
        }
      }
    }
  }
}
