#include "engine/memory/host-blocks.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "platform/platform.hpp"

namespace tokenlearner {

namespace {

// AddressSanitizer finds the use of freed memory only in malloc's blocks.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kMaps = false;
#else
constexpr bool kMaps = true;
#endif

constexpr std::size_t kMostBlocks = 64;

struct Block {
  void* base;
  std::size_t bytes;
};

/// Freed blocks, the newest last. Never destroyed: other threads may free memory until the process ends.
struct Kept {
  std::mutex mutex;
  std::array<Block, kMostBlocks> blocks;
  std::size_t count = 0;
  std::size_t bytes = 0;

  void erase(std::size_t i) {
    bytes -= blocks[i].bytes;
    std::copy(blocks.begin() + static_cast<std::ptrdiff_t>(i) + 1,
              blocks.begin() + static_cast<std::ptrdiff_t>(count),
              blocks.begin() + static_cast<std::ptrdiff_t>(i));
    --count;
  }
};

Kept& kept() {
  static Kept* const instance = new Kept;
  return *instance;
}

bool is_mapped(std::size_t bytes) { return kMaps && bytes >= kLargeBlock; }

std::size_t whole_pages(std::size_t bytes) {
  const std::size_t page = platform::page_size();
  return (bytes + page - 1) / page * page;
}

/// The newest kept block of exactly this size. Null if there is none.
void* take_kept(std::size_t bytes) {
  Kept& pool = kept();
  const std::lock_guard lock(pool.mutex);
  for (std::size_t i = pool.count; i-- > 0;) {
    if (pool.blocks[i].bytes != bytes) continue;
    void* const base = pool.blocks[i].base;
    pool.erase(i);
    return base;
  }
  return nullptr;
}

}  // namespace

void* allocate_block(std::size_t bytes, bool zeroed) noexcept {
  if (!is_mapped(bytes)) return zeroed ? std::calloc(1, bytes) : std::malloc(bytes);
  const std::size_t size = whole_pages(bytes);
  if (size < bytes) return nullptr;
  if (void* const block = take_kept(size)) {
    if (zeroed) std::memset(block, 0, bytes);
    return block;
  }
  // The pages of a new mapping are zero.
  return platform::map_pages(size);
}

void free_block(void* block, std::size_t bytes) noexcept {
  if (!is_mapped(bytes)) return std::free(block);
  const std::size_t size = whole_pages(bytes);
  if (size > kMostKept) return platform::unmap_pages(block, size);
  Kept& pool = kept();
  const std::lock_guard lock(pool.mutex);
  // The oldest make room.
  while (pool.count == kMostBlocks || pool.bytes + size > kMostKept) {
    platform::unmap_pages(pool.blocks[0].base, pool.blocks[0].bytes);
    pool.erase(0);
  }
  pool.blocks[pool.count++] = {block, size};
  pool.bytes += size;
}

std::size_t kept_bytes() noexcept {
  Kept& pool = kept();
  const std::lock_guard lock(pool.mutex);
  return pool.bytes;
}

}  // namespace tokenlearner
