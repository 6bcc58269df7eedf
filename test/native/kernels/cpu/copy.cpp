// The strided copy against element-by-element loops, and the conversions of every instruction set over every
// 16-bit value.
#include "kernels/cpu/copy.hpp"

#include <doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "../stringify.hpp"
#include "elements.hpp"
#include "kernels/cpu/convert-run.hpp"

namespace {

using namespace test;

using Dims = std::vector<std::int64_t>;

/** Elements from `offset` on, with strides in elements. */
struct View {
  Dims shape;
  Dims source_strides;
  std::int64_t offset = 0;
  /** Empty: contiguous. */
  Dims target_strides = {};
};

Dims contiguous(const Dims& shape) {
  Dims strides(shape.size());
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) strides[i] = stride, stride *= shape[i];
  return strides;
}

/** The lowest or highest offset of a view. */
std::int64_t reach(const Dims& shape, const Dims& strides, bool lowest) {
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if ((strides[i] < 0) == lowest) offset += (shape[i] - 1) * strides[i];
  }
  return offset;
}

/** Runs the copy and the loops into two targets, whose gaps hold a pattern. True if all bytes agree. */
bool agrees(const View& view, DType from, DType to) {
  const Dims target_strides = view.target_strides.empty() ? contiguous(view.shape) : view.target_strides;
  const std::int64_t lowest = reach(view.shape, view.source_strides, true);
  const std::int64_t highest = reach(view.shape, view.source_strides, false);
  const std::vector<unsigned char> source =
      interesting_elements(from, std::size_t(view.offset + highest - lowest + 1));
  const std::size_t in = item_size(from), out = item_size(to);
  std::vector<unsigned char> expected(std::size_t(reach(view.shape, target_strides, false) + 2) * out, 0xa5);
  std::vector<unsigned char> actual = expected;
  const unsigned char* first = source.data() + std::size_t(view.offset - lowest) * in;

  Dims index(view.shape.size());
  for (bool more = std::find(view.shape.begin(), view.shape.end(), 0) == view.shape.end(); more;) {
    std::int64_t at = 0, target = 0;
    for (std::size_t i = 0; i < index.size(); ++i) {
      at += index[i] * view.source_strides[i], target += index[i] * target_strides[i];
    }
    unsigned char* const written = expected.data() + std::size_t(target) * out;
    write_element(written, to, read_element(first + at * std::int64_t(in), from));
    more = false;
    for (std::size_t i = index.size(); i-- > 0 && !more;) {
      more = ++index[i] < view.shape[i];
      if (!more) index[i] = 0;
    }
  }
  CopyParams params;
  params.source = first, params.source_dtype = from;
  params.target = actual.data(), params.target_dtype = to;
  params.rank = int(view.shape.size()), params.shape = view.shape.data();
  params.source_strides = view.source_strides.data(), params.target_strides = target_strides.data();
  REQUIRE(strided_copy(params) == Status::ok);
  if (actual.size() > out) {
    for (std::size_t i = 0; i + out <= actual.size(); i += out)
      unify_nan(actual.data() + i, to), unify_nan(expected.data() + i, to);
  }
  return actual == expected;
}

/** Vectors of bytes print badly: the failed check says only that they differ. */
bool same(const std::vector<unsigned char>& a, const std::vector<unsigned char>& b) { return a == b; }

void check_pairs(const View& view) {
  for (const DType from : kAllDTypes) {
    for (const DType to : kAllDTypes) {
      CAPTURE(from);
      CAPTURE(to);
      CHECK(agrees(view, from, to));
    }
  }
}

/** 3 x 4 x 5 x 6 in every order of the dimensions. */
std::vector<View> permutations() {
  const Dims shape = {3, 4, 5, 6}, strides = contiguous(shape);
  std::vector<View> views;
  std::vector<std::size_t> order = {0, 1, 2, 3};
  do {
    View view;
    for (const std::size_t i : order)
      view.shape.push_back(shape[i]), view.source_strides.push_back(strides[i]);
    views.push_back(view);
  } while (std::next_permutation(order.begin(), order.end()));
  return views;
}

void check_all_bits(const ConvertRuns& runs, DType from, DType to) {
  constexpr std::size_t kCount = 0x10000;
  std::vector<std::uint16_t> source(kCount);
  for (std::size_t i = 0; i < kCount; ++i) source[i] = static_cast<std::uint16_t>(i);
  const std::size_t out = item_size(to);
  std::vector<unsigned char> actual(kCount * out), expected(kCount * out);
  runs.of(from, to)(source.data(), actual.data(), kCount);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    unsigned char* const a = actual.data() + i * out;
    unsigned char* const e = expected.data() + i * out;
    write_element(e, to, read_element(reinterpret_cast<unsigned char*>(&source[i]), from));
    unify_nan(a, to), unify_nan(e, to);
    wrong += std::memcmp(a, e, out) != 0;
  }
  CAPTURE(to);
  CHECK(wrong == 0);
}

/** Calls `check(runs)` for each instruction set that this machine has. */
template <typename Check>
void for_each_convert_runs(Check check) {
  const ConvertRuns* runs[3];
  const int count = available_convert_runs(runs);
  for (int i = 0; i < count; ++i) {
    INFO("instruction set ", i);
    check(*runs[i]);
  }
}

}  // namespace

TEST_SUITE("kernels/copy") {
  TEST_CASE("contiguous: all pairs of dtypes") { check_pairs({{1, 7, 1171}, {8197, 1171, 1}}); }

  TEST_CASE("strided: all pairs of dtypes") {
    check_pairs({{2, 3, 35, 9}, {3 * 35 * 9, 1, 27, 3}});
    check_pairs({{5, 3, 70}, {211, 0, 3}, 1});
    check_pairs({{40, 37}, {-1, -41}});
    check_pairs({{6, 7, 8}, {56, 8, 1}, 0, {1, 6, 49}});
  }

  TEST_CASE("every order of the dimensions") {
    for (const View& view : permutations()) {
      CAPTURE(
          doctest::toString(view.shape[0] * 1000 + view.shape[1] * 100 + view.shape[2] * 10 + view.shape[3]));
      for (const DType to : {DType::float32, DType::float16, DType::uint8})
        CHECK(agrees(view, DType::float32, to));
      View scattered = view;
      scattered.target_strides = view.source_strides, scattered.source_strides = contiguous(view.shape);
      CHECK(agrees(scattered, DType::float32, DType::float32));
      CHECK(agrees(scattered, DType::uint8, DType::bfloat16));
    }
  }

  TEST_CASE("a picture from channels last to channels first, and back") {
    check_pairs({{1, 3, 31, 33}, {3 * 31 * 33, 1, 99, 3}});
    check_pairs({{1, 31, 33, 3}, {3 * 31 * 33, 33, 1, 31 * 33}});
  }

  TEST_CASE("large transposes, slices and single rows") {
    const auto check = [](const View& view) {
      CHECK(agrees(view, DType::float32, DType::float32));
      CHECK(agrees(view, DType::float64, DType::float16));
    };
    check({{300, 1000}, {1, 300}});
    check({{1000, 300}, {1, 1000}});
    check({{2, 600, 3, 70}, {1, 2, 1200 * 70, 1200}});
    check({{100, 100}, {400, 2}, 3});
    check({{1, 1, 5000}, {1, 1, 2}});
    check({{17}, {1000}});
    check({{4, 4}, {7, 2}, 0, {7, 2}});
  }

  TEST_CASE("scalars, empty shapes and 64 dimensions") {
    check_pairs({{}, {}});
    check_pairs({{1, 1}, {5, 5}});
    Dims shape(64, 1), strides(64, 0);
    shape[3] = shape[20] = shape[63] = 3, strides[3] = 1, strides[20] = 3, strides[63] = 9;
    CHECK(agrees({shape, strides}, DType::float32, DType::int64));
    CopyParams params;
    const std::int64_t empty[] = {INT64_MAX, 0, INT64_MAX}, steps[] = {INT64_MAX, INT64_MAX, 1};
    params.rank = 3, params.shape = empty, params.source_strides = params.target_strides = steps;
    CHECK(strided_copy(params) == Status::ok);
  }

  TEST_CASE("refuses a wrong rank, dtype, size, and targets whose elements are not distinct") {
    float source[4] = {1, 2, 3, 4}, target[4] = {};
    const auto copy = [&](const Dims& shape, const Dims& strides, auto change) {
      CopyParams params;
      params.source = source, params.target = target;
      params.rank = int(shape.size()), params.shape = shape.data();
      params.source_strides = params.target_strides = strides.data();
      change(params);
      return strided_copy(params);
    };
    const auto nothing = [](CopyParams&) {};
    CHECK(copy({2, 2}, {2, 1}, nothing) == Status::ok);
    CHECK(copy({2, 2}, {1, 1}, nothing) == Status::invalid_argument);
    CHECK(copy({2, 2}, {0, 1}, nothing) == Status::invalid_argument);
    CHECK(copy({2, 2}, {-2, 1}, nothing) == Status::invalid_argument);
    CHECK(copy({3, 3}, {INT64_MAX, 1}, nothing) == Status::invalid_argument);
    CHECK(copy({-1}, {1}, nothing) == Status::invalid_argument);
    CHECK(copy(Dims(65, 1), Dims(65, 1), nothing) == Status::invalid_argument);
    CHECK(copy({2}, {1}, [](CopyParams& params) { params.source = nullptr; }) == Status::invalid_argument);
    CHECK(copy({2}, {1}, [](CopyParams& params) { params.source_dtype = DType{1}; }) ==
          Status::invalid_argument);
  }
}

TEST_SUITE("kernels/convert-run") {
  TEST_CASE("every 16-bit value, on every instruction set") {
    for_each_convert_runs([](const ConvertRuns& runs) {
      for (const DType to : kAllDTypes) {
        check_all_bits(runs, DType::float16, to);
        check_all_bits(runs, DType::bfloat16, to);
      }
    });
  }

  TEST_CASE("all pairs of dtypes, on every instruction set") {
    constexpr std::size_t kCount = 1171;
    for_each_convert_runs([](const ConvertRuns& runs) {
      for (const DType from : kAllDTypes) {
        const std::vector<unsigned char> source = interesting_elements(from, kCount);
        for (const DType to : kAllDTypes) {
          CAPTURE(from);
          CAPTURE(to);
          const std::size_t out = item_size(to);
          std::vector<unsigned char> actual(kCount * out), expected(kCount * out);
          runs.of(from, to)(source.data(), actual.data(), kCount);
          for (std::size_t i = 0; i < kCount; ++i) {
            write_element(&expected[i * out], to, read_element(&source[i * item_size(from)], from));
            unify_nan(&actual[i * out], to), unify_nan(&expected[i * out], to);
          }
          CHECK(same(actual, expected));
        }
      }
    });
  }

  TEST_CASE("a NaN keeps its sign and its upper bits in float16, and is 0x7fc0 in bfloat16") {
    const std::uint32_t nans[] = {0x7fc00000, 0x7f800001, 0x7fffffff, 0xffc00000, 0xff812345,
                                  0x7fc12345, 0x7fa00000, 0xffffffff, 0x7f802000};
    const std::uint16_t halves[] = {0x7e00, 0x7e00, 0x7fff, 0xfe00, 0xfe09, 0x7e09, 0x7f00, 0xffff, 0x7e01};
    for_each_convert_runs([&](const ConvertRuns& runs) {
      std::uint16_t half[9], brain[9];
      std::uint32_t back[9];
      runs.of(DType::float32, DType::float16)(nans, half, 9);
      runs.of(DType::float32, DType::bfloat16)(nans, brain, 9);
      runs.of(DType::float16, DType::float32)(half, back, 9);
      for (int i = 0; i < 9; ++i) {
        INFO("NaN ", hex(nans[i]));
        CHECK(half[i] == halves[i]);
        CHECK(brain[i] == 0x7fc0);
        CHECK(back[i] == ((half[i] & 0x8000u) << 16 | 0x7f800000u | (half[i] & 0x3ffu) << 13));
      }
    });
  }

  TEST_CASE("ten million random float32 round to float16 and bfloat16 as in plain arithmetic") {
    constexpr std::size_t kCount = 10'000'000 / 64;
    std::mt19937_64 random(11);
    std::vector<std::uint32_t> source(kCount);
    std::vector<std::uint16_t> actual(kCount);
    std::size_t wrong = 0;
    for (int round = 0; round < 64; ++round) {
      for (std::uint32_t& bits : source) bits = static_cast<std::uint32_t>(random());
      for_each_convert_runs([&](const ConvertRuns& runs) {
        for (const DType to : {DType::float16, DType::bfloat16}) {
          runs.of(DType::float32, to)(source.data(), actual.data(), kCount);
          for (std::size_t i = 0; i < kCount; ++i) {
            const auto value = static_cast<double>(__builtin_bit_cast(float, source[i]));
            if (std::isnan(value)) continue;
            wrong += actual[i] != encode_16(value, to == DType::float16 ? 10 : 7);
          }
        }
      });
    }
    CHECK(wrong == 0);
  }
}
