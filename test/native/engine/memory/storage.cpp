#include "engine/memory/storage.hpp"

#include <doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "engine/error.hpp"
#include "engine/memory/host-blocks.hpp"

using namespace tokenlearner;

TEST_SUITE_BEGIN("engine/storage");

TEST_CASE("memory is aligned to 64 bytes, zeroed if asked for, and freed by the last copy") {
  for (const std::size_t bytes : {0u, 1u, 63u, 64u, 4097u}) {
    Storage storage = Storage::allocate(bytes, true);
    CHECK(reinterpret_cast<std::uintptr_t>(storage.data()) % 64 == 0);
    CHECK(storage.bytes() == bytes);
    for (std::size_t i = 0; i < bytes; ++i) CHECK(storage.data()[i] == std::byte{0});
    const std::weak_ptr<void> owner = storage.owner();
    Storage copy = storage;
    storage = Storage();
    CHECK_FALSE(owner.expired());
    copy = Storage();
    CHECK(owner.expired());
  }
}

TEST_CASE("large blocks are kept for reuse up to a bound, and zeroed again if asked for") {
  const std::size_t bytes = 1 << 20;
  Storage first = Storage::allocate(bytes, false);
  std::memset(first.data(), 1, bytes);
  first = Storage();
  const Storage again = Storage::allocate(bytes, true);
  CHECK(std::all_of(again.data(), again.data() + bytes, [](std::byte b) { return b == std::byte{0}; }));
  std::vector<Storage> burst;
  for (int i = 0; i < 200; ++i) burst.push_back(Storage::allocate(bytes, false));
  burst.clear();
  CHECK(kept_bytes() <= kMostKept);
  {
    const Storage largest = Storage::allocate(2 * kMostKept, false);
  }
  CHECK(kept_bytes() <= kMostKept);
}

TEST_CASE("large blocks on several threads") {
  std::vector<std::thread> threads;
  for (unsigned char t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (std::size_t i = 0; i < 300; ++i) {
        const std::size_t bytes = kLargeBlock + (i * 7919 + t * 104729) % (1 << 20);
        const Storage storage = Storage::allocate(bytes, i % 2 == 0);
        std::memset(storage.data(), t, bytes);
        if (storage.data()[bytes / 2] != std::byte{t}) std::abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(kept_bytes() <= kMostKept);
}

TEST_CASE("too much is ERR_OUT_OF_MEMORY") {
  for (const std::size_t bytes : {std::size_t{1} << 62, std::numeric_limits<std::size_t>::max()}) {
    try {
      Storage::allocate(bytes, false);
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::ERR_OUT_OF_MEMORY);
    }
  }
}

TEST_CASE("borrowed memory has no owner") {
  char byte = 0;
  CHECK(Storage::borrow(&byte, 1).owner() == nullptr);
}

TEST_SUITE_END();
