// Runs a problem on the oracle and on the fused engine.
#pragma once

#include <doctest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "../stringify.hpp"
#include "kernels/cpu/compute-pool.hpp"
#include "kernels/cpu/fused.hpp"
#include "kernels/cpu/reference.hpp"
#include "problem.hpp"

namespace test {

/** Runs `check(isa)` as one subcase per instruction set that this machine has. Call it once per test case. */
template <typename Check>
void for_each_isa(Check check) {
  for (const Isa isa : available_isas()) {
    SUBCASE(name_of(isa)) { check(isa); }
  }
}

struct Result {
  std::vector<double> tokens;
  std::vector<double> attention;
};

inline Result run_reference(const Problem& problem, bool tokens_first = false) {
  Result result{std::vector<double>(problem.token_count() + 1),
                std::vector<double>(problem.attention_count() + 1)};
  const Status status = reference_forward(
      problem.params(result.tokens.data(), result.attention.data(), tokens_first), problem.weights());
  CHECK(status == Status::ok);
  result.tokens.resize(problem.token_count());
  result.attention.resize(problem.attention_count());
  return result;
}

/** The bytes, so that results can be compared bit for bit. */
struct RawResult {
  std::vector<unsigned char> tokens;
  std::vector<unsigned char> attention;
};

/** Room for the results of a run, and a byte after each. It starts as NaN: an element that the kernel leaves out stays NaN. */
inline RawResult room_for(std::size_t tokens, std::size_t attention, DType dtype) {
  RawResult raw;
  raw.tokens.assign(tokens * item_size(dtype) + 1, 0xff);
  raw.attention.assign(attention * item_size(compute_dtype(dtype)) + 1, 0xff);
  return raw;
}

inline void check_ends(const RawResult& raw) {
  INFO("a kernel must not write past the end");
  CHECK(raw.tokens.back() == 0xff);
  CHECK(raw.attention.back() == 0xff);
}

inline void check_same(const RawResult& a, const RawResult& b) {
  // Vectors of bytes print badly.
  CHECK((a.tokens == b.tokens));
  CHECK((a.attention == b.attention));
}

inline RawResult run_fused_raw(const Problem& problem, Isa isa, Parallel& parallel, int max_threads,
                               bool tokens_first = false) {
  RawResult raw = room_for(problem.token_count(), problem.attention_count(), problem.dtype());
  std::shared_ptr<const PackedWeights> packed;
  REQUIRE(PackedWeights::pack(problem.weights(), isa, packed) == Status::ok);
  const Status status = fused_forward(problem.params(raw.tokens.data(), raw.attention.data(), tokens_first),
                                      *packed, parallel, max_threads);
  CHECK(status == Status::ok);
  check_ends(raw);
  return raw;
}

inline Result run_fused(const Problem& problem, Isa isa, bool tokens_first = false) {
  SerialParallel serial;
  const RawResult raw = run_fused_raw(problem, isa, serial, 1, tokens_first);
  return {decode(raw.tokens, problem.dtype(), problem.token_count()),
          decode(raw.attention, compute_dtype(problem.dtype()), problem.attention_count())};
}

/** ||actual - expected|| / ||expected||; infinite if only one of two elements is NaN. */
inline double relative_error(const std::vector<double>& actual, const std::vector<double>& expected) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(actual[i]) != std::isnan(expected[i])) return INFINITY;
    if (std::isnan(expected[i])) continue;
    difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

}  // namespace test
