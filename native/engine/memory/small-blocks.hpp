#pragma once

#include <cstddef>

namespace tokenlearner {

// Note: [Small blocks]
// A request is a few dozen small objects. JavaScript's thread makes some that a computing thread frees, and the other way
// round, hundreds in a burst. malloc keeps seven freed blocks of a size for a thread; beyond that each call takes a
// lock that the other thread wants too. So each thread keeps up to 2 * kBatch freed blocks of a size here, and passes
// them on to the others kBatch at a time.
//
// Each block is one of malloc's own, of the size that malloc would give anyway. So free() takes a block of
// allocate_small(), and free_small() a block of malloc(): nothing goes wrong where the two meet.

constexpr std::size_t kLargestSmall = 504;
constexpr std::size_t kBatch = 32;

/// Memory aligned for every C++ type; free_small() or std::free() frees it. Null if there is none. Thread-safe.
void* allocate_small(std::size_t bytes) noexcept;

/// Frees memory of allocate_small(), or of std::malloc(), with the same `bytes`. Thread-safe.
void free_small(void* block, std::size_t bytes) noexcept;

/// The bytes of the blocks that no thread keeps for itself. For tests.
std::size_t shared_small_bytes() noexcept;

}  // namespace tokenlearner
