#include "engine/memory/storage.hpp"

#include <doctest.h>

#include <cstdint>
#include <cstring>
#include <limits>

#include "engine/error.hpp"

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
