// Every variant from packing to tokens through cuda_fused_forward, on the host machine, against the oracle.
// One suite per variant: they take long.
#include <doctest.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "host-forward.hpp"
#include "host-machine.hpp"
#include "kernels/cuda/plan.hpp"
#include "stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

struct Case {
  Size size;
  Layout layout;
};

void check_case(const Case& c, Precision precision, Variant variant, const Plan& plan) {
  const Problem problem(c.size, element_dtype(precision), c.layout, 1);
  const Problem::Errors pytorch = problem.pytorch_errors(precision);
  CAPTURE(plan.splits);
  try {
    const Result result = run_forward(problem, precision, variant, plan);
    const double attention = relative_error(result.attention, problem.attention());
    const double tokens = relative_error(result.tokens, problem.tokens());
    CHECK(attention <= allowed_error(precision, pytorch.attention));
    CHECK(tokens <= allowed_error(precision, pytorch.tokens));
  } catch (const std::runtime_error& error) {
    // The host machine found a deadlock or a forbidden access. The other cases still run.
    FAIL_CHECK(std::string(error.what()));
  }
}

/** `c` as a subcase, on an H100 with that many multiprocessors: the fewer, the more work per block. */
void add_case(const Case& c, Precision precision, Variant variant, int multiprocessors) {
  const Size& size = c.size;
  const CudaShape shape{size.batch, size.channels, size.hidden, size.tokens, size.pixels()};
  DeviceProperties device = kHopper;
  device.multiprocessors = multiprocessors;
  const std::string name = std::string(name_of(precision)) + " B" + std::to_string(size.batch) + " C" +
                           std::to_string(size.channels) + " K" + std::to_string(size.hidden) + " G" +
                           std::to_string(size.tokens) + " P" + std::to_string(size.pixels());
  SUBCASE(name.c_str()) {
    check_case(c, precision, variant, plan_forward(shape, precision, variant, device));
  }
}

void check_simt_sizes() {
  const Case cases[] = {
      {{32, 1, 2, 1, 1, 1}, Layout::channels_first},
      {{3, 3, 7, 5, 1, 129}, Layout::channels_last},
      {{1, 16, 33, 16, 27, 42}, Layout::cropped},
  };
  for (const Case& c : cases) add_case(c, Precision::float32, Variant::simt, 132);
}

void check_tensor_core_sizes(Precision precision, Variant variant) {
  const Case cases[] = {
      {{32, 1, 2, 1, 1, 1}, Layout::channels_first},    {{2, 3, 6, 5, 1, 7}, Layout::channels_last},
      {{1, 24, 48, 5, 3, 43}, Layout::cropped},         {{3, 129, 258, 1, 7, 7}, Layout::channels_first},
      {{1, 33, 300, 2, 40, 30}, Layout::channels_last}, {{2, 65, 129, 16, 2, 3}, Layout::cropped},
  };
  for (const Case& c : cases) add_case(c, precision, variant, 132);
  // Many more iterations than stages: several chunks per tile, and many tiles of one chunk each.
  const Case long_cases[] = {
      {{1, 129, 600, 2, 2, 65}, Layout::channels_first},
      {{1, 32, 900, 2, 1, 65}, Layout::channels_first},
  };
  for (const Case& c : long_cases) add_case(c, precision, variant, 1);
}

/**
 * Image 1 of a batch of 3 has the bits that it has alone, and those that it has when more blocks share its
 * hidden rows.
 */
void check_batch_invariance(Precision precision, Variant variant, std::int64_t channels) {
  const Problem problem({3, channels, 300, 2, 3, 7}, element_dtype(precision), Layout::channels_first, 5);
  const CudaShape shape = problem.shape();
  DeviceProperties small = kHopper;
  small.multiprocessors = 1;
  const Plan unsplit = plan_forward(shape, precision, variant, small);
  const Plan split = plan_forward(shape, precision, variant, kHopper);
  CHECK(unsplit.splits == 1);
  // simt never splits the hidden layer.
  if (variant != Variant::simt) CHECK(split.splits > 1);
  Plan one_by_one = unsplit;
  one_by_one.images_per_pass = 1;
  const Result together = run_forward(problem, precision, variant, unsplit);
  const Result shared = run_forward(problem, precision, variant, split);
  const Result alone = run_forward(problem, precision, variant, one_by_one);
  CHECK(together.attention == shared.attention);
  CHECK(together.tokens == shared.tokens);
  CHECK(together.attention == alone.attention);
  CHECK(together.tokens == alone.tokens);
}

/** Tokens as (B, G, C) have the bits of (B, C, G), in one pass over the tokens or several. */
void check_tokens_first(Precision precision, Variant variant, const Size& size, Layout layout) {
  const Problem problem(size, element_dtype(precision), layout, 8);
  const Plan plan = plan_forward(problem.shape(), precision, variant, kHopper);
  const Result channels_first = run_forward(problem, precision, variant, plan);
  const Result tokens_first = run_forward(problem, precision, variant, plan, true);
  CHECK(tokens_first.tokens == channels_first.tokens);
  CHECK(relative_error(tokens_first.tokens, problem.tokens()) <= 2.5e-7);
}

/** The precisions as subcases. */
void check_batch_invariance(Variant variant) {
  for (const Precision precision :
       {Precision::float32, Precision::tf32, Precision::bfloat16, Precision::float16}) {
    SUBCASE(name_of(precision)) { check_batch_invariance(precision, variant, 40); }
  }
}

/**
 * Few iterations and many, from one chunk in one tile on: the number of stages and the head start of the first
 * warpgroup must not matter. `hidden_tile` is forced: a plan has 256 only with many channels.
 */
void check_iterations(Precision precision, int hidden_tile) {
  for (const int tiles : {1, 2, 3, 5}) {
    for (const int chunks : {1, 2, 3, 4, 5}) {
      const std::int64_t channels = chunks * channels_per_chunk(precision) - 1;
      const Case c{{1, channels, tiles * hidden_tile, 1, 1, 65}, Layout::channels_first};
      const CudaShape shape{1, channels, tiles * hidden_tile, 1, 65};
      DeviceProperties device = kHopper;
      device.multiprocessors = 1;
      Plan plan = plan_forward(shape, precision, Variant::wgmma, device);
      plan.hidden_tile = hidden_tile;
      plan.splits = 1;
      CAPTURE(tiles);
      CAPTURE(chunks);
      check_case(c, precision, Variant::wgmma, plan);
    }
  }
}

TEST_SUITE("cuda/fused-forward-simt") {
  TEST_CASE("simt, float32: all sizes") { check_simt_sizes(); }
  TEST_CASE("simt: neither the batch nor the number of blocks changes bits") {
    check_batch_invariance(Precision::float32, Variant::simt, 16);
  }
}

TEST_SUITE("cuda/fused-forward-tokens-first") {
  TEST_CASE("one segment of pixels") {
    check_tokens_first(Precision::float32, Variant::simt, {2, 7, 3, 9, 1, 130}, Layout::channels_first);
  }
  TEST_CASE("several segments of pixels") {
    check_tokens_first(Precision::float32, Variant::simt, {2, 16, 3, 9, 27, 42}, Layout::cropped);
  }
  TEST_CASE("channels last") {
    check_tokens_first(Precision::float32, Variant::simt, {2, 16, 3, 9, 25, 41}, Layout::channels_last);
  }
  TEST_CASE("the small variant") {
    check_tokens_first(Precision::float32, Variant::small, {2, 37, 3, 2, 1, 40}, Layout::channels_first);
  }
}

TEST_SUITE("cuda/fused-forward-small") {
  TEST_CASE("small, float32: all sizes") { check_tensor_core_sizes(Precision::float32, Variant::small); }
  TEST_CASE("small, tf32: all sizes") { check_tensor_core_sizes(Precision::tf32, Variant::small); }
  TEST_CASE("small, bfloat16: all sizes") { check_tensor_core_sizes(Precision::bfloat16, Variant::small); }
  TEST_CASE("small, float16: all sizes") { check_tensor_core_sizes(Precision::float16, Variant::small); }
  TEST_CASE("small: neither the batch nor the number of blocks changes bits") {
    check_batch_invariance(Variant::small);
  }
}

TEST_SUITE("cuda/fused-forward-mma") {
  TEST_CASE("mma, float32: all sizes") { check_tensor_core_sizes(Precision::float32, Variant::mma); }
  TEST_CASE("mma, tf32: all sizes") { check_tensor_core_sizes(Precision::tf32, Variant::mma); }
  TEST_CASE("mma, bfloat16: all sizes") { check_tensor_core_sizes(Precision::bfloat16, Variant::mma); }
  TEST_CASE("mma, float16: all sizes") { check_tensor_core_sizes(Precision::float16, Variant::mma); }
  TEST_CASE("mma: neither the batch nor the number of blocks changes bits") {
    check_batch_invariance(Variant::mma);
  }
}

TEST_SUITE("cuda/fused-forward-wgmma") {
  TEST_CASE("wgmma, float32: all sizes") { check_tensor_core_sizes(Precision::float32, Variant::wgmma); }
  TEST_CASE("wgmma, tf32: all sizes") { check_tensor_core_sizes(Precision::tf32, Variant::wgmma); }
  TEST_CASE("wgmma, bfloat16: all sizes") { check_tensor_core_sizes(Precision::bfloat16, Variant::wgmma); }
  TEST_CASE("wgmma, float16: all sizes") { check_tensor_core_sizes(Precision::float16, Variant::wgmma); }
  TEST_CASE("wgmma: neither the batch nor the number of blocks changes bits") {
    check_batch_invariance(Variant::wgmma);
  }

  TEST_CASE("wgmma: few iterations and many, tiles of 256") { check_iterations(Precision::bfloat16, 256); }
  TEST_CASE("wgmma: few iterations and many, tiles of 128") { check_iterations(Precision::bfloat16, 128); }
  TEST_CASE("wgmma: few iterations and many, two planes") { check_iterations(Precision::float32, 128); }

  TEST_CASE("wgmma: the second warpgroup starts two chunks after the first") {
    const CudaShape shape{1, 384, 512, 1, 128};
    const Plan plan = plan_forward(shape, Precision::bfloat16, Variant::wgmma, kHopper);
    CHECK(plan.hidden_tile == 256);
    std::vector<int> log;
    wgmma_log = &log;
    check_case({{1, 384, 512, 1, 1, 128}, Layout::channels_first}, Precision::bfloat16, Variant::wgmma, plan);
    wgmma_log = nullptr;
    CHECK(log.size() >= 3);
    CHECK(log[0] == 0);
    CHECK(log[1] == 0);
    CHECK(std::count(log.begin(), log.end(), 0) == std::count(log.begin(), log.end(), 1));
  }

  TEST_CASE("wgmma: tiles of 256 hidden rows") {
    const CudaShape shape{1, 384, 512, 1, 132};
    CHECK(plan_forward(shape, Precision::bfloat16, Variant::wgmma, kHopper).hidden_tile == 256);
    // 6 chunks of 64 channels, and a hidden layer of whole tiles of 256.
    const Case c{{1, 384, 512, 1, 2, 66}, Layout::channels_first};
    add_case(c, Precision::bfloat16, Variant::wgmma, 132);
    add_case(c, Precision::float16, Variant::wgmma, 1);
    add_case({{1, 192, 256, 1, 2, 66}, Layout::channels_first}, Precision::tf32, Variant::wgmma, 1);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
