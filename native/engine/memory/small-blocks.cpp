#include "engine/memory/small-blocks.hpp"

#include <array>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>

#include "kernels/spin.hpp"
#include "platform/process-wide.hpp"

namespace tokenlearner {

namespace {

// AddressSanitizer and ThreadSanitizer follow malloc's blocks alone. The sizes below are those of glibc.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
constexpr bool kKeeps = true;
#else
constexpr bool kKeeps = false;
#endif

/// glibc's blocks have sizes in steps of this; so many bytes of each are its own.
constexpr std::size_t kStep = 16;
constexpr std::size_t kHeader = 8;
constexpr std::size_t kClasses = (kLargestSmall + kHeader) / kStep + 1;
/// The most bytes of one size that no thread keeps for itself.
constexpr std::size_t kMostShared = 256 << 10;

/// A freed block. This is written into its own memory; the smallest block has room for two pointers.
struct Node {
  Node* next;
  /// In the first node of a batch that is shared.
  Node* next_batch;
};

/// All blocks of a class can be swapped. The smallest has 24 bytes.
constexpr std::size_t class_of(std::size_t bytes) {
  return bytes <= 24 ? 2 : (bytes + kHeader + kStep - 1) / kStep;
}
constexpr std::size_t size_of(std::size_t of_class) { return of_class * kStep - kHeader; }
static_assert(class_of(24) == 2 && class_of(25) == 3 && size_of(2) == 24 && size_of(class_of(504)) == 504);
static_assert(class_of(kLargestSmall) + 1 == kClasses && sizeof(Node) <= size_of(2));

void free_all(Node* first) {
  while (first != nullptr) std::free(std::exchange(first, first->next));
}

/// Batches of kBatch freed blocks of one size.
class Shared {
 public:
  Node* take() {
    const std::unique_lock lock = kernels::lock_soon(mutex_);
    if (first_ == nullptr) return nullptr;
    --batches_;
    return std::exchange(first_, first_->next_batch);
  }

  /// False if there are enough.
  bool give(Node* batch, std::size_t size) {
    const std::unique_lock lock = kernels::lock_soon(mutex_);
    if ((batches_ + 1) * kBatch * size > kMostShared) return false;
    ++batches_;
    batch->next_batch = std::exchange(first_, batch);
    return true;
  }

  std::size_t blocks() {
    const std::lock_guard lock(mutex_);
    return batches_ * kBatch;
  }

 private:
  std::mutex mutex_;
  Node* first_ = nullptr;
  std::size_t batches_ = 0;
};

std::array<Shared, kClasses>& shared() { return platform::ProcessWide<std::array<Shared, kClasses>>::get(); }

/// Freed blocks of one size, of one thread.
struct Own {
  Node* first = nullptr;
  std::size_t count = 0;
  /// kBatch more, or null.
  Node* batch = nullptr;
};

struct OwnBlocks {
  std::array<Own, kClasses> classes{};
  /// The thread is ending: what it still frees goes to malloc.
  bool is_over = false;
};

// Without a destructor, so that other destructors of the thread can free memory after Watch's.
constinit thread_local OwnBlocks own;

/// Frees a thread's blocks when it ends.
struct Watch {
  ~Watch() {
    own.is_over = true;
    for (Own& blocks : own.classes) {
      free_all(std::exchange(blocks.first, nullptr));
      free_all(std::exchange(blocks.batch, nullptr));
    }
  }
};

void watch_thread() { thread_local const Watch watch; }

void* refilled(std::size_t of_class) {
  if (!own.is_over) {
    watch_thread();
    Own& blocks = own.classes[of_class];
    Node* const batch =
        blocks.batch != nullptr ? std::exchange(blocks.batch, nullptr) : shared()[of_class].take();
    if (batch != nullptr) {
      blocks.first = batch->next;
      blocks.count = kBatch - 1;
      return batch;
    }
  }
  return std::malloc(size_of(of_class));
}

/// The thread has kBatch blocks of a size: they become its batch, and the batch before is shared.
void pass_on(Own& blocks, std::size_t of_class) {
  watch_thread();
  Node* const batch = std::exchange(blocks.batch, std::exchange(blocks.first, nullptr));
  blocks.count = 0;
  const std::size_t size = size_of(of_class);
  if (batch != nullptr && !shared()[of_class].give(batch, size)) free_all(batch);
}

}  // namespace

void* allocate_small(std::size_t bytes) noexcept {
  if (!kKeeps || bytes > kLargestSmall) return std::malloc(bytes);
  const std::size_t of_class = class_of(bytes);
  Own& blocks = own.classes[of_class];
  if (blocks.first == nullptr) return refilled(of_class);
  --blocks.count;
  return std::exchange(blocks.first, blocks.first->next);
}

void free_small(void* block, std::size_t bytes) noexcept {
  if (!kKeeps || bytes > kLargestSmall || block == nullptr || own.is_over) return std::free(block);
  const std::size_t of_class = class_of(bytes);
  Own& blocks = own.classes[of_class];
  blocks.first = ::new (block) Node{blocks.first, nullptr};
  if (++blocks.count == kBatch) pass_on(blocks, of_class);
}

std::size_t shared_small_bytes() noexcept {
  std::size_t bytes = 0;
  for (std::size_t i = 2; i < kClasses; ++i) bytes += shared()[i].blocks() * size_of(i);
  return bytes;
}

}  // namespace tokenlearner
