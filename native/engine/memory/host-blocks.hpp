#pragma once

#include <cstddef>

namespace tokenlearner {

// Note: [Large blocks]
// malloc keeps large blocks for reuse once it has seen some, so a burst of thousands of queued inputs would stay
// with the process for good. So blocks of kLargeBlock bytes and more are mapped here. A freed one is kept for
// the next request of about its size, up to kMostKept bytes in all; the rest goes back to the system at once.

constexpr std::size_t kLargeBlock = 128 << 10;
constexpr std::size_t kMostKept = 64 << 20;

/// Memory for a storage. Page-aligned if `bytes` is at least kLargeBlock, otherwise aligned for every C++ type.
/// Null if there is no memory. Thread-safe.
void* allocate_block(std::size_t bytes, bool zeroed) noexcept;

/// Frees a block of allocate_block() with the same `bytes`. Thread-safe.
void free_block(void* block, std::size_t bytes) noexcept;

/// The bytes of freed blocks that are kept. For tests.
std::size_t kept_bytes() noexcept;

}  // namespace tokenlearner
