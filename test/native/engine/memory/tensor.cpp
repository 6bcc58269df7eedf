#include "engine/memory/tensor.hpp"

#include <doctest.h>

using namespace tokenlearner;

namespace {

Tensor strided(Dims shape, Dims strides) {
  Tensor tensor = Tensor::empty(shape, DType::float32);
  tensor.strides = std::move(strides);
  return tensor;
}

}  // namespace

TEST_SUITE_BEGIN("engine/tensor");

TEST_CASE("row-major strides count sizes of 0 as 1") {
  CHECK(contiguous_strides({2, 3, 4}) == Dims{12, 4, 1});
  CHECK(contiguous_strides({2, 0, 4}) == Dims{4, 4, 1});
  CHECK(contiguous_strides({}).empty());
}

TEST_CASE("contiguous means row by row without gaps; strides of dimensions of 1 do not count") {
  CHECK(strided({2, 3}, {3, 1}).is_contiguous());
  CHECK(strided({2, 1, 3}, {3, 99, 1}).is_contiguous());
  CHECK(strided({0, 3}, {7, 7}).is_contiguous());
  CHECK_FALSE(strided({2, 3}, {1, 2}).is_contiguous());
}

TEST_CASE("the extent reaches to the last element") {
  CHECK(extent({2, 3}, {3, 1}) == 6);
  CHECK(extent({2, 3}, {1, 2}) == 6);
  CHECK(extent({2, 0}, {1, 2}) == 0);
  CHECK(extent({}, {}) == 1);
}

TEST_CASE("leading dimensions merge where each steps by the span of those inside it") {
  Tensor merged;
  REQUIRE(merge_leading(strided({2, 3, 4}, {12, 4, 1}), 2, merged));
  CHECK(merged.shape == Dims{6, 4});
  CHECK(merged.strides == Dims{4, 1});
  CHECK_FALSE(merge_leading(strided({2, 3, 4}, {4, 8, 1}), 2, merged));
  REQUIRE(merge_leading(strided({2, 1, 4}, {4, 77, 1}), 2, merged));
  CHECK(merged.strides == Dims{4, 1});
  REQUIRE(merge_leading(strided({4}, {1}), 0, merged));
  CHECK(merged.shape == Dims{1, 4});
}

TEST_SUITE_END();
