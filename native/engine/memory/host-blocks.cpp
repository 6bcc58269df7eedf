#include "engine/memory/host-blocks.hpp"

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#include "platform/platform.hpp"
#include "platform/process-wide.hpp"

namespace tokenlearner {

namespace {

// AddressSanitizer finds the use of freed memory only in malloc's blocks.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kKeeps = false;
#else
constexpr bool kKeeps = true;
#endif

/// trim_freed() does something from so many bytes on.
constexpr std::size_t kTrimBytes = 16 << 20;
/// Blocks of malloc have sizes in steps of this.
constexpr std::size_t kStep = 256;

/// A freed block. This is written into its own memory.
struct Block {
  std::size_t bytes;
  /// By age.
  Block* older;
  Block* newer;
  /// Of the same bucket, by age.
  Block* next;
  Block* previous;
};

/// Freed blocks by size and by age.
class Kept {
 public:
  /// The newest block of exactly this size. Null if there is none.
  Block* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    for (Block* block = bucket_of(bytes); block != nullptr; block = block->next) {
      if (block->bytes != bytes) continue;
      remove(block);
      return block;
    }
    return nullptr;
  }

  /// Keeps a block. Returns the oldest ones that made room for it, linked by `next`.
  Block* keep(void* memory, std::size_t bytes) {
    Block* const block = ::new (memory) Block{bytes, nullptr, nullptr, nullptr, nullptr};
    const std::lock_guard lock(mutex_);
    Block* victims = nullptr;
    while (bytes_ + bytes > kMostKept) {
      Block* const oldest = oldest_;
      remove(oldest);
      oldest->next = victims;
      victims = oldest;
    }
    block->older = newest_;
    (newest_ != nullptr ? newest_->newer : oldest_) = block;
    newest_ = block;
    Block*& first = bucket_of(bytes);
    block->next = first;
    if (first != nullptr) first->previous = block;
    first = block;
    bytes_ += bytes;
    return victims;
  }

  std::size_t bytes() {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  // Up to a megabyte each size has a bucket of its own. There are at most 64 larger blocks.
  static constexpr std::size_t kOwn = 4096;
  static constexpr std::size_t kShared = 64;

  Block*& bucket_of(std::size_t bytes) {
    const std::size_t steps = bytes / kStep;
    return buckets_[steps < kOwn ? steps : kOwn + steps % kShared];
  }

  void remove(Block* block) {
    (block->newer != nullptr ? block->newer->older : newest_) = block->older;
    (block->older != nullptr ? block->older->newer : oldest_) = block->newer;
    (block->previous != nullptr ? block->previous->next : bucket_of(block->bytes)) = block->next;
    if (block->next != nullptr) block->next->previous = block->previous;
    bytes_ -= block->bytes;
  }

  std::mutex mutex_;
  std::array<Block*, kOwn + kShared> buckets_{};
  Block* oldest_ = nullptr;
  Block* newest_ = nullptr;
  std::size_t bytes_ = 0;
};

Kept& kept() { return platform::ProcessWide<Kept>::get(); }

/// The bytes that give_back() has passed to free() since the last call of trim_freed().
std::atomic<std::size_t> freed_bytes = 0;

bool is_kept(std::size_t bytes) { return kKeeps && bytes >= kLeastKept && bytes <= kMostKept; }
bool is_mapped(std::size_t bytes) { return kKeeps && bytes >= kLargeBlock; }

/// The size of the block for so many bytes; 0 if there is none.
std::size_t block_bytes(std::size_t bytes) {
  if (!kKeeps || bytes < kLeastKept) return bytes;
  const std::size_t step = is_mapped(bytes) ? platform::page_size() : kStep;
  const std::size_t rounded = (bytes + step - 1) / step * step;
  return rounded < bytes ? 0 : rounded;
}

void give_back(void* block, std::size_t size) noexcept {
  if (is_mapped(size)) return platform::unmap_pages(block, size);
  std::free(block);
  freed_bytes.fetch_add(size, std::memory_order_relaxed);
}

}  // namespace

void* allocate_block(std::size_t bytes, bool zeroed) noexcept {
  const std::size_t size = block_bytes(bytes);
  if (size < bytes) return nullptr;
  if (is_kept(size)) {
    if (Block* const block = kept().take(size)) return zeroed ? std::memset(block, 0, bytes) : block;
  }
  // The pages of a new mapping are zero.
  if (is_mapped(size)) return platform::map_pages(size);
  return zeroed ? std::calloc(1, size) : std::malloc(size);
}

void free_block(void* block, std::size_t bytes) noexcept {
  if (block == nullptr) return;
  const std::size_t size = block_bytes(bytes);
  if (!is_kept(size)) return give_back(block, size);
  for (Block* victim = kept().keep(block, size); victim != nullptr;) {
    Block* const next = victim->next;
    give_back(victim, victim->bytes);
    victim = next;
  }
}

void trim_freed() noexcept {
  if (freed_bytes.exchange(0, std::memory_order_relaxed) >= kTrimBytes) platform::return_free_memory();
}

std::size_t kept_bytes() noexcept { return kept().bytes(); }

}  // namespace tokenlearner
