#include "engine/memory/dims.hpp"

#include <doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

using namespace tokenlearner;

namespace {

/// Does the same to both and compares them.
struct Pair {
  Dims dims;
  std::vector<int64_t> model;

  void check() const {
    REQUIRE(dims.size() == model.size());
    CHECK(dims.empty() == model.empty());
    CHECK(std::equal(dims.begin(), dims.end(), model.begin()));
  }
};

}  // namespace

TEST_SUITE_BEGIN("engine/dims");

TEST_CASE("Dims does what a vector does, in its own memory and beyond") {
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  Pair pair;
  std::size_t largest = 0;
  for (int i = 0; i < 20'000; ++i) {
    Dims& dims = pair.dims;
    std::vector<int64_t>& model = pair.model;
    const auto value = static_cast<int64_t>(random());
    const std::size_t at = below(model.size() + 1);
    const auto offset = static_cast<std::ptrdiff_t>(at);
    const std::vector<int64_t> some(below(4), value);
    switch (below(11)) {
      case 0:
        dims.push_back(value), model.push_back(value);
        break;
      case 1:
        CHECK(*dims.insert(dims.begin() + offset, value) == value);
        model.insert(model.begin() + offset, value);
        break;
      case 2:
        dims.insert(dims.begin() + offset, some.begin(), some.end());
        model.insert(model.begin() + offset, some.begin(), some.end());
        break;
      case 3:
        if (at == model.size()) break;
        dims.erase(dims.begin() + offset), model.erase(model.begin() + offset);
        break;
      case 4:
        dims.erase(dims.begin(), dims.begin() + offset), model.erase(model.begin(), model.begin() + offset);
        break;
      case 5: {
        const std::size_t size = below(20);
        dims.resize(size, 7), model.resize(size, 7);
        break;
      }
      case 6: {
        Dims copy = dims;
        CHECK(copy == dims);
        copy.push_back(1);
        CHECK_FALSE(copy == dims);
        dims = Dims();
        dims = std::move(copy);
        model.push_back(1);
        break;
      }
      case 7: {
        const Dims moved = std::move(dims);
        dims = moved;
        break;
      }
      case 8:
        dims.assign(some.begin(), some.end()), model.assign(some.begin(), some.end());
        break;
      case 9:
        if (model.empty()) break;
        CHECK(dims.back() == model.back());
        CHECK(dims.front() == model.front());
        dims.pop_back(), model.pop_back();
        break;
      default:
        dims.reserve(below(12));
        std::swap(dims, pair.dims);
    }
    pair.check();
    largest = std::max(largest, model.size());
  }
  CHECK(largest > 2 * Dims::kInline);
}

TEST_CASE("Dims from values, and what a move leaves") {
  CHECK(Dims(3, 2) == Dims{2, 2, 2});
  CHECK(Dims(8) == Dims{0, 0, 0, 0, 0, 0, 0, 0});
  for (const std::size_t size : {Dims::kInline, Dims::kInline + 1}) {
    Dims from(size, 5);
    const Dims to = std::move(from);
    CHECK(to == Dims(size, 5));
    CHECK(from.empty());  // NOLINT(bugprone-use-after-move)
    from.push_back(1);
    CHECK(from == Dims{1});
  }
  Dims self{1, 2};
  Dims& same = self;
  self = same;
  CHECK(self == Dims{1, 2});
}

TEST_SUITE_END();
