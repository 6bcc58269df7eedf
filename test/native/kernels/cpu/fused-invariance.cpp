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

/** Configurations whose images differ in size and layout and share the weights of the first. */
using List = std::vector<Case>;

/** Runs a list of forwards as one and each of them alone. Both must give the same bits. */
void check_list(const List& list, DType dtype, Isa isa, Parallel& parallel, int threads) {
  CAPTURE(threads);
  std::vector<std::unique_ptr<Problem>> problems;
  for (const Case& config : list) problems.push_back(std::make_unique<Problem>(config, dtype));
  std::shared_ptr<const PackedWeights> packed;
  REQUIRE(PackedWeights::pack(problems.front()->weights(), isa, packed) == Status::ok);
  std::vector<RawResult> together(list.size()), alone(list.size());
  std::vector<ForwardParams> params;
  const auto outputs = [&](std::size_t i, RawResult& raw) {
    raw = room_for(problems[i]->token_count(), problems[i]->attention_count(), dtype);
    return problems[i]->params(raw.tokens.data(), raw.attention.data(), i % 2 == 1);
  };
  SerialParallel serial;
  for (std::size_t i = 0; i < list.size(); ++i) {
    params.push_back(outputs(i, together[i]));
    CHECK(fused_forward(outputs(i, alone[i]), *packed, serial, 1) == Status::ok);
  }
  CHECK(fused_forward(params, *packed, parallel, threads) == Status::ok);
  for (std::size_t i = 0; i < list.size(); ++i) {
    CAPTURE(i);
    CHECK(same(together[i].tokens, alone[i].tokens));
    CHECK(same(together[i].attention, alone[i].attention));
  }
}

List mixed_sizes(int num_layers) {
  const Layout first = Layout::channels_first, last = Layout::channels_last;
  return {{1, 65, 8, 8, 5, 1, first, 1, num_layers},   {2, 65, 7, 7, 5, 1, last, 1, num_layers},
          {1, 65, 1, 1, 5, 1, first, 1, num_layers},   {0, 65, 9, 9, 5, 1, first, 1, num_layers},
          {1, 65, 31, 33, 5, 1, first, 1, num_layers}, {3, 65, 2, 3, 5, 1, first, 1, num_layers},
          {1, 65, 1, 129, 5, 1, last, 1, num_layers},  {1, 65, 5, 0, 5, 1, first, 1, num_layers},
          {1, 65, 3, 1, 5, 1, first, 1, num_layers}};
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

  TEST_CASE("an image has the same bits alone and in a list of forwards of other sizes and layouts") {
    ComputePool pool(5);
    SerialParallel serial;
    for_each_isa([&](Isa isa) {
      for (const DType dtype : {DType::float32, DType::float64, DType::float16, DType::bfloat16}) {
        check_list(mixed_sizes(2), dtype, isa, serial, 1);
        check_list(mixed_sizes(2), dtype, isa, pool, pool.threads());
      }
      for (const int num_layers : {1, 3}) {
        check_list(mixed_sizes(num_layers), DType::float32, isa, pool, pool.threads());
      }
      check_list(List(70, {1, 24, 3, 3, 4, 1}), DType::float32, isa, pool, 3);
    });
  }

  TEST_CASE("a list of forwards of different dtypes is refused, and an empty one is not") {
    const Problem wide({1, 5, 2, 2, 3, 1}, DType::float64), narrow({1, 5, 2, 2, 3, 1}, DType::float32);
    std::vector<double> y(64), a(64);
    std::shared_ptr<const PackedWeights> packed;
    REQUIRE(PackedWeights::pack(narrow.weights(), available_isas().front(), packed) == Status::ok);
    SerialParallel serial;
    const std::vector<ForwardParams> list{narrow.params(y.data(), a.data()), wide.params(y.data(), a.data())};
    CHECK(fused_forward(list, *packed, serial, 1) == Status::invalid_argument);
    CHECK(fused_forward(std::span<const ForwardParams>(), *packed, serial, 1) == Status::ok);
  }

  TEST_CASE("channels first and channels last give the same bits") {
    for_each_isa([](Isa isa) {
      for (const int num_layers : {1, 2, 3}) {
        check_layout({3, 129, 7, 7, 3, 1, Layout::channels_first, 1, num_layers}, isa);
      }
    });
  }
}
