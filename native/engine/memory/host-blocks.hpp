#pragma once

#include <cstddef>

namespace tokenlearner {

// Note: [Kept blocks]
// A result lives until the garbage collector has seen that nobody holds it, and then hundreds are freed at once. malloc
// gives their pages back to the system, and the next results wait for new pages: half the time of a forward of some
// hundred microseconds. So freed blocks are kept for the next request of their size, up to kMostKept bytes in all; the
// oldest make room. Blocks under kLeastKept stay with malloc, which has them in lists of its own.
//
// malloc keeps large blocks for reuse once it has seen some, so a burst of thousands of queued inputs would stay
// with the process for good. So blocks of kLargeBlock bytes and more are mapped here, and go back to the system at once
// if they are not kept.

constexpr std::size_t kLeastKept = 1 << 10;
constexpr std::size_t kLargeBlock = 128 << 10;
constexpr std::size_t kMostKept = 64 << 20;

/// Memory for a storage. Page-aligned if `bytes` is at least kLargeBlock, otherwise aligned for every C++ type.
/// Null if there is no memory. Thread-safe.
void* allocate_block(std::size_t bytes, bool zeroed) noexcept;

/// Frees a block of allocate_block() with the same `bytes`. Thread-safe.
void free_block(void* block, std::size_t bytes) noexcept;

/// Gives free memory of malloc back to the system if it got much of it from free_block() since the last call. Thread-safe.
void trim_freed() noexcept;

/// The bytes of freed blocks that are kept. For tests.
std::size_t kept_bytes() noexcept;

}  // namespace tokenlearner
