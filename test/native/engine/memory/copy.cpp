// Copies in host memory against libtorch's own, bit for bit over all pairs of dtypes.
#include "engine/memory/copy.hpp"

#include <doctest.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "../../kernels/cpu/elements.hpp"
#include "../../kernels/stringify.hpp"
#include "engine/error.hpp"
#include "engine/torch/abi.hpp"
#include "engine/torch/library.hpp"

using namespace tokenlearner;

namespace {

/// libtorch's copy as PyTorch's Tensor.to(dtype).contiguous() makes it.
Tensor libtorch_copied(const Tensor& source, DType dtype) {
  load_torch(TOKENLEARNER_TORCH_LIB);
  const TorchTensor contiguous =
      TorchCall("aten::contiguous", "").tensor(TorchTensor::view(source)).integer(0).run();
  return TorchCall("aten::_to_copy", "")
      .tensor(contiguous)
      .optional_dtype(dtype)
      .none()
      .none()
      .none()
      .boolean(false)
      .none()
      .run()
      .to_tensor();
}

/// A contiguous tensor of values where a rule of the conversions changes, and random ones.
Tensor interesting(Dims shape, DType dtype) {
  Tensor tensor = Tensor::empty(std::move(shape), dtype);
  const auto bytes = test::interesting_elements(dtype, static_cast<std::size_t>(tensor.numel()));
  std::memcpy(tensor.data(), bytes.data(), bytes.size());
  return tensor;
}

/// Every NaN becomes the same one: libtorch's own bits of a NaN depend on its position.
void unify_nans(const Tensor& tensor) {
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    const int64_t offset = i * static_cast<int64_t>(item_size(tensor.dtype));
    test::unify_nan(reinterpret_cast<unsigned char*>(tensor.data()) + offset, tensor.dtype);
  }
}

bool same_as_libtorch(const Tensor& source, DType dtype) {
  const Tensor ours = copied(source, dtype);
  const Tensor theirs = libtorch_copied(source, dtype);
  CHECK(ours.shape == theirs.shape);
  CHECK(ours.is_contiguous());
  unify_nans(ours);
  unify_nans(theirs);
  return std::memcmp(ours.data(), theirs.data(), static_cast<std::size_t>(ours.numel()) * item_size(dtype)) ==
         0;
}

/// Checks the view with each dtype in place of its own, to each dtype. `view` changes shape, strides and offset.
template <typename View>
void check_all_pairs(const Dims& shape, View view) {
  for (const DType from : test::kAllDTypes) {
    Tensor source = interesting(shape, from);
    view(source);
    for (const DType to : test::kAllDTypes) {
      CAPTURE(from);
      CAPTURE(to);
      CHECK(same_as_libtorch(source, to));
    }
  }
}

}  // namespace

TEST_SUITE_BEGIN("engine/copy");

TEST_CASE("contiguous: the bits of libtorch") {
  check_all_pairs({4099}, [](Tensor&) {});
}

TEST_CASE("permuted, sliced and expanded: the bits of libtorch") {
  check_all_pairs({3, 31, 33, 3}, [](Tensor& x) {
    x.shape = {3, 3, 31, 33};
    x.strides = {31 * 33 * 3, 1, 33 * 3, 3};
  });
  check_all_pairs({40, 50}, [](Tensor& x) {
    x.shape = {17, 20};
    x.strides = {2, 100};
    x.offset = 53;
  });
  check_all_pairs({600}, [](Tensor& x) {
    x.shape = {2, 300, 3};
    x.strides = {0, 2, 0};
  });
}

TEST_CASE("every 16-bit value: the bits of libtorch") {
  for (const DType from : {DType::float16, DType::bfloat16}) {
    const Tensor source = Tensor::empty({0x10000}, from);
    for (unsigned i = 0; i < 0x10000; ++i)
      reinterpret_cast<uint16_t*>(source.data())[i] = static_cast<uint16_t>(i);
    for (const DType to : test::kAllDTypes) {
      CAPTURE(from);
      CAPTURE(to);
      CHECK(same_as_libtorch(source, to));
    }
  }
}

TEST_CASE("ten million random float32: the bits of libtorch") {
  std::mt19937 random(5);
  const Tensor source = Tensor::empty({100'000}, DType::float32);
  for (int round = 0; round < 100; ++round) {
    for (int64_t i = 0; i < source.numel(); ++i)
      reinterpret_cast<uint32_t*>(source.data())[i] = uint32_t(random());
    REQUIRE(same_as_libtorch(source, DType::float16));
    REQUIRE(same_as_libtorch(source, DType::bfloat16));
  }
}

TEST_CASE("scalars and empty tensors") {
  CHECK(same_as_libtorch(interesting({}, DType::float64), DType::float16));
  CHECK(copied(Tensor::empty({2, 0, 3}, DType::int64), DType::uint8).shape == Dims{2, 0, 3});
}

TEST_CASE("another shape or a target with repeated elements is an error") {
  const Tensor source = interesting({2, 3}, DType::float32);
  CHECK_THROWS_AS(copy_into(Tensor::empty({3, 2}, DType::float32), source), Error);
  Tensor repeated = Tensor::empty({2, 3}, DType::float32);
  repeated.strides = {0, 1};
  CHECK_THROWS_AS(copy_into(repeated, source), Error);
}

TEST_SUITE_END();
