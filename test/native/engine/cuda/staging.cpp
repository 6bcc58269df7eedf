// Upload, with the GPU's memory in the host's: copies that are started are made at once, and counted.
#include "engine/cuda/staging.hpp"

#include <doctest.h>

#include <cstring>
#include <numeric>
#include <vector>

#include "engine/cuda/transfer.hpp"

namespace tokenlearner {

namespace {

std::vector<std::size_t> started;

}  // namespace

// In the place of the library's own.
bool can_start_copies(Device) { return true; }

void start_copy(Device, const Storage& host, void* target, const void* source, std::size_t bytes) {
  const auto* const first = static_cast<const std::byte*>(source);
  CHECK(host.pinned());
  CHECK(first >= host.data());
  CHECK(first + bytes <= host.data() + host.bytes());
  std::memcpy(target, source, bytes);
  started.push_back(bytes);
}

Tensor empty_pinned(const Dims& shape, DType dtype) {
  Tensor tensor = Tensor::empty(shape, dtype);
  tensor.storage.set_pinned();
  return tensor;
}

namespace {

Tensor numbered(Dims shape, int32_t first) {
  Tensor tensor = Tensor::empty(std::move(shape), DType::int32);
  auto* const numbers = reinterpret_cast<int32_t*>(tensor.data());
  std::iota(numbers, numbers + tensor.numel(), first);
  return tensor;
}

const int32_t* numbers_of(const Tensor& tensor) { return reinterpret_cast<const int32_t*>(tensor.data()); }

/// The target after the upload of all parts. `started` has the bytes of each copy.
Tensor uploaded(const std::vector<Tensor>& parts) {
  started.clear();
  int64_t count = 0;
  for (const Tensor& part : parts) count += part.numel();
  const Tensor target = Tensor::empty({count}, DType::int32);
  std::memset(target.data(), 0xff, target.byte_length());
  Upload upload(target);
  for (const Tensor& part : parts) upload.add(part);
  upload.finish();
  return target;
}

void check_counts_up(const Tensor& target) {
  int64_t wrong = 0;
  for (int64_t i = 0; i < target.numel(); ++i) wrong += numbers_of(target)[i] != i;
  CHECK(wrong == 0);
}

}  // namespace

TEST_SUITE("engine/staging") {
  TEST_CASE("small parts are sent together") {
    check_counts_up(uploaded({numbered({3, 5}, 0), numbered({0, 7}, 0), numbered({2, 2, 2}, 15)}));
    CHECK(started == std::vector<std::size_t>{23 * 4});
    CHECK(uploaded({numbered({0}, 0)}).numel() == 0);
    CHECK(started.empty());
  }

  TEST_CASE("large parts are sent while the next one is gathered") {
    const int64_t many = (1 << 20) + 51'427;
    check_counts_up(uploaded({numbered({many}, 0), numbered({10}, many), numbered({many}, many + 10)}));
    CHECK(started == std::vector<std::size_t>{4 << 20, 4 * (51'427 + 10 + (1 << 20)), 4 * 51'427});
  }

  TEST_CASE("a part of many megabytes is gathered in blocks, by several threads") {
    const int64_t many = (20 << 20) / 4 + 77;
    check_counts_up(uploaded({numbered({many}, 0)}));
    std::vector<std::size_t> blocks(5, 4 << 20);
    blocks.push_back(4 * 77);
    CHECK(started == blocks);
  }

  TEST_CASE("page-locked memory is read where it is, in its turn") {
    Tensor pinned = numbered({4, 4}, 6);
    pinned.storage.set_pinned();
    check_counts_up(uploaded({numbered({6}, 0), pinned, numbered({5}, 22)}));
    CHECK(started == std::vector<std::size_t>{6 * 4, 16 * 4, 5 * 4});
  }

  TEST_CASE("views are gathered in their own order") {
    for (const int64_t size : {5, 700, 1300}) {
      CAPTURE(size);
      // The transpose of a transpose that is in memory.
      const Tensor plain = numbered({size, size}, 0);
      Tensor turned = Tensor::empty({size, size}, DType::int32);
      auto* const numbers = reinterpret_cast<int32_t*>(turned.data());
      for (int64_t i = 0; i < size * size; ++i) numbers[i] = numbers_of(plain)[i % size * size + i / size];
      turned.strides = {1, size};
      check_counts_up(uploaded({turned}));
      Tensor pinned = turned;
      pinned.storage.set_pinned();
      check_counts_up(uploaded({pinned}));
      Tensor one = turned;
      one.shape.insert(one.shape.begin(), 1);
      one.strides.insert(one.strides.begin(), 7);
      check_counts_up(uploaded({one}));
    }
  }
}

}  // namespace tokenlearner
