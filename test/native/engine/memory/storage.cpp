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

TEST_CASE("blocks are kept for reuse up to a bound, and zeroed again if asked for") {
  std::size_t bytes = 0;
  SUBCASE("small ones of malloc") { bytes = 1500; }
  SUBCASE("large ones of malloc") { bytes = 20'000; }
  SUBCASE("mapped") { bytes = 200'000; }
  SUBCASE("that share a bucket") { bytes = 1 << 20; }
  Storage first = Storage::allocate(bytes, false);
  std::memset(first.data(), 1, bytes);
  first = Storage();
  const Storage again = Storage::allocate(bytes, true);
  CHECK(std::all_of(again.data(), again.data() + bytes, [](std::byte b) { return b == std::byte{0}; }));
  std::vector<Storage> burst;
  for (std::size_t i = 0; i < 2 * kMostKept / bytes; ++i) burst.push_back(Storage::allocate(bytes, false));
  std::memset(burst.back().data(), 1, bytes);
  burst.clear();
  CHECK(kept_bytes() <= kMostKept);
  // Without AddressSanitizer, all but a block's worth.
  CHECK((kept_bytes() == 0 || kept_bytes() > kMostKept - bytes - (8 << 10)));
  {
    const Storage largest = Storage::allocate(2 * kMostKept, false);
  }
  CHECK(kept_bytes() <= kMostKept);
}

TEST_CASE("a freed block is the next one of its size, the newest first, and the oldest ones make room") {
  {
    const Storage probe = Storage::allocate(40'000, false);
  }
  // Builds with AddressSanitizer keep nothing.
  if (kept_bytes() == 0) return;
  std::vector<void*> seen;
  std::vector<Storage> blocks;
  for (const std::size_t bytes : {50'000u, 60'000u, 50'000u, 300'000u, 3'000'000u})
    blocks.push_back(Storage::allocate(bytes, false));
  for (const Storage& block : blocks) seen.push_back(block.data());
  for (Storage& block : blocks) block = Storage();
  const Storage first = Storage::allocate(50'000, false), second = Storage::allocate(50'000, false);
  CHECK(first.data() == seen[2]);
  CHECK(second.data() == seen[0]);
  CHECK(Storage::allocate(300'000, false).data() == seen[3]);
  CHECK(Storage::allocate(3'000'000, false).data() == seen[4]);
  // 40 MB and 40 MB do not fit: the 60,000 bytes are older than both and go with the first.
  const std::size_t half = 40 << 20;
  {
    const Storage one = Storage::allocate(half, false), two = Storage::allocate(half, false);
  }
  CHECK(kept_bytes() < half + (1 << 20));
}

TEST_CASE("blocks on several threads") {
  std::vector<std::thread> threads;
  for (unsigned char t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (std::size_t i = 0; i < 300; ++i) {
        const std::size_t bytes = 1 + (i * 7919 + t * 104729) % (1 << 19);
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
