// An image's result has the same bits alone and in a batch, on one thread and on many, and however it lies in
// memory.
#include <doctest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "run.hpp"

namespace {

using namespace test;

/** Vectors of bytes print badly: the failed check says only that they differ. */
bool same(const std::vector<unsigned char>& a, const std::vector<unsigned char>& b) { return a == b; }

void check_threads(const Case& config, DType dtype, Isa isa, ComputePool& pool) {
  CAPTURE(config.name());
  CAPTURE(dtype);
  const Problem problem(config, dtype);
  SerialParallel serial;
  const RawResult one = run_fused_raw(problem, isa, serial, 1);
  for (int threads = 1; threads <= pool.threads(); ++threads) {
    const RawResult many = run_fused_raw(problem, isa, pool, threads);
    CAPTURE(threads);
    CHECK(same(one.tokens, many.tokens));
    CHECK(same(one.attention, many.attention));
  }
}

/** Each image of the batch by itself, with the batch's own weights. */
void check_batch(const Case& config, Isa isa) {
  CAPTURE(config.name());
  const Problem problem(config, DType::float32);
  SerialParallel serial;
  const RawResult batch = run_fused_raw(problem, isa, serial, 1);
  std::shared_ptr<const PackedWeights> packed;
  REQUIRE(PackedWeights::pack(problem.weights(), isa, packed) == Status::ok);
  const std::size_t tokens = problem.token_count() / std::size_t(config.batch);
  const std::size_t maps = problem.attention_count() / std::size_t(config.batch);
  for (std::int64_t b = 0; b < config.batch; ++b) {
    std::vector<float> y(tokens), a(maps);
    ForwardParams params = problem.params(y.data(), a.data());
    params.batch = 1;
    params.x = static_cast<const float*>(params.x) + b * params.x_batch_stride;
    INFO("image ", b);
    CHECK(fused_forward(params, *packed, serial, 1) == Status::ok);
    CHECK(std::memcmp(y.data(), batch.tokens.data() + std::size_t(b) * tokens * 4, tokens * 4) == 0);
    CHECK(std::memcmp(a.data(), batch.attention.data() + std::size_t(b) * maps * 4, maps * 4) == 0);
  }
}

/** The same numbers, channels first and channels last. */
void check_layout(Case config, Isa isa) {
  CAPTURE(config.name());
  config.layout = Layout::channels_first;
  const Problem first(config, DType::float32);
  config.layout = Layout::channels_last;
  Problem last(config, DType::float32);
  const auto* from = reinterpret_cast<const float*>(first.params(nullptr, nullptr).x);
  auto* to = reinterpret_cast<float*>(last.x().data());
  for (std::int64_t b = 0; b < config.batch; ++b) {
    for (std::int64_t c = 0; c < config.channels; ++c) {
      for (std::int64_t h = 0; h < config.height; ++h) {
        for (std::int64_t w = 0; w < config.width; ++w) to[last.at(b, c, h, w)] = from[first.at(b, c, h, w)];
      }
    }
  }
  SerialParallel serial;
  CHECK(same(run_fused_raw(first, isa, serial, 1).tokens, run_fused_raw(last, isa, serial, 1).tokens));
}

}  // namespace

TEST_SUITE("kernels/fused-invariance") {
  TEST_CASE("the number of threads does not change bits") {
    ComputePool pool(5);
    for_each_isa([&](Isa isa) {
      for (const DType dtype : {DType::float32, DType::float64, DType::bfloat16}) {
        check_threads({1, 64, 32, 32, 8, 1}, dtype, isa, pool);
        check_threads({5, 129, 7, 7, 3, 1}, dtype, isa, pool);
      }
      check_threads({6, 256, 9, 9, 8, 1}, DType::float32, isa, pool);
      for (const int num_layers : {1, 3, 4}) {
        check_threads({5, 129, 7, 7, 3, 1, Layout::channels_first, 1, num_layers}, DType::float32, isa, pool);
        check_threads({2, 24, 31, 33, 5, 2, Layout::channels_first, 1, num_layers}, DType::float64, isa,
                      pool);
      }
    });
  }

  TEST_CASE("an image has the same bits alone and in a batch") {
    for_each_isa([](Isa isa) {
      check_batch({5, 129, 7, 7, 3, 1}, isa);
      check_batch({9, 24, 10, 10, 5, 2}, isa);
      check_batch({4, 300, 1, 3, 2, 1}, isa);
      check_batch({3, 65, 5, 10, 2, 1}, isa);
      for (const int num_layers : {1, 3, 4}) {
        check_batch({5, 129, 7, 7, 3, 1, Layout::channels_first, 1, num_layers}, isa);
        check_batch({9, 24, 10, 10, 5, 2, Layout::channels_first, 1, num_layers}, isa);
        check_batch({3, 65, 5, 10, 9, 1, Layout::channels_first, 1, num_layers}, isa);
        check_batch({40, 5, 1, 1, 3, 3, Layout::channels_first, 1, num_layers}, isa);
      }
    });
  }

  TEST_CASE("channels first and channels last give the same bits") {
    for_each_isa([](Isa isa) {
      for (const int num_layers : {1, 2, 3}) {
        check_layout({3, 129, 7, 7, 3, 1, Layout::channels_first, 1, num_layers}, isa);
      }
    });
  }
}
