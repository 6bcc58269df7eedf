#include <doctest.h>

#include <vector>

#include "problem-cache.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

const Case kCases[] = {{{2, 3, 6, 2, 1, 7}, Layout::channels_first},
                       {{2, 3, 6, 2, 1, 7}, Layout::channels_last},
                       {{1, 9, 20, 1, 3, 5}, Layout::cropped}};

TEST_SUITE("cuda/problem-cache") {
  TEST_CASE("a problem is computed once for each size, layout and dtype") {
    ProblemCache cache;
    const std::vector<Case> cases(std::begin(kCases), std::end(kCases));
    cache.prepare(cases, {Precision::float32, Precision::tf32});
    CHECK(cache.computed() == 3);
    const ProblemCache::Entry& entry = cache.get(kCases[0], Precision::float32);
    cache.prepare(cases, {Precision::float32, Precision::bfloat16});
    CHECK(cache.computed() == 6);
    CHECK(&cache.get(kCases[0], Precision::float32) == &entry);
    CHECK(&cache.get(kCases[0], Precision::tf32).problem == &entry.problem);
    CHECK(&cache.get(kCases[1], Precision::float32).problem != &entry.problem);
  }

  TEST_CASE("the entries are those of a problem made alone") {
    ProblemCache cache;
    for (const Case& c : kCases) {
      for (const Precision precision : {Precision::float32, Precision::tf32, Precision::float16}) {
        const ProblemCache::Entry& entry = cache.get(c, precision);
        const Problem alone(c.size, element_dtype(precision), c.layout, 1);
        const Problem::Errors errors = alone.pytorch_errors(precision);
        CHECK(entry.problem.tokens() == alone.tokens());
        CHECK(entry.pytorch.tokens == errors.tokens);
        CHECK(entry.pytorch.attention == errors.attention);
        CHECK(errors.tokens > 0);
      }
    }
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
