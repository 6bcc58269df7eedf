#include "engine/memory/small-blocks.hpp"

#include <doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <vector>

using namespace tokenlearner;

namespace {

struct Block {
  unsigned char* memory;
  std::size_t bytes;
  unsigned char mark;
};

Block make(std::size_t bytes, unsigned char mark) {
  auto* const memory = static_cast<unsigned char*>(allocate_small(bytes));
  std::memset(memory, mark, bytes);
  return {memory, bytes, mark};
}

/// True if nobody else has written into the block.
bool is_whole(const Block& block) {
  return std::all_of(block.memory, block.memory + block.bytes,
                     [&](unsigned char byte) { return byte == block.mark; });
}

}  // namespace

TEST_SUITE_BEGIN("engine/small-blocks");

TEST_CASE("Blocks of all sizes are whole and aligned, however they are mixed and freed") {
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random()) % n; };
  std::vector<Block> blocks;
  for (int i = 0; i < 100'000; ++i) {
    if (blocks.size() < 2000 && below(2) == 0) {
      const std::size_t bytes = 1 + below(kLargestSmall + 40);
      blocks.push_back(make(bytes, static_cast<unsigned char>(random())));
      REQUIRE(reinterpret_cast<std::uintptr_t>(blocks.back().memory) % alignof(std::max_align_t) == 0);
    } else if (!blocks.empty()) {
      std::swap(blocks[below(blocks.size())], blocks.back());
      REQUIRE(is_whole(blocks.back()));
      free_small(blocks.back().memory, blocks.back().bytes);
      blocks.pop_back();
    }
  }
  for (const Block& block : blocks) {
    REQUIRE(is_whole(block));
    // Either way of freeing is right.
    if (below(2) == 0)
      std::free(block.memory);
    else
      free_small(block.memory, block.bytes);
  }
  free_small(nullptr, 24);
}

TEST_CASE("A block of malloc can be freed, and used again for the sizes that share its class") {
  for (std::size_t bytes = 1; bytes <= kLargestSmall; ++bytes) {
    std::vector<Block> blocks;
    for (int i = 0; i < 3; ++i) free_small(std::malloc(bytes), bytes);
    const std::size_t largest = std::max<std::size_t>((bytes + 8 + 15) / 16 * 16 - 8, 24);
    for (unsigned char i = 0; i < 3; ++i) blocks.push_back(make(largest, i));
    for (const Block& block : blocks) {
      CHECK(is_whole(block));
      free_small(block.memory, block.bytes);
    }
  }
}

TEST_CASE("Threads that free each other's blocks never share one") {
  constexpr std::size_t kThreads = 4;
  std::mutex mutex;
  std::vector<Block> passed;
  std::atomic<int> broken = 0;
  const auto work = [&](unsigned seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 20'000; ++i) {
      const Block block = make(1 + random() % kLargestSmall, static_cast<unsigned char>(random()));
      const std::lock_guard lock(mutex);
      passed.push_back(block);
      std::swap(passed[random() % passed.size()], passed.back());
      if (passed.size() < 500) continue;
      for (int k = 0; k < 2; ++k) {
        broken += is_whole(passed.back()) ? 0 : 1;
        free_small(passed.back().memory, passed.back().bytes);
        passed.pop_back();
      }
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  for (const Block& block : passed) {
    broken += is_whole(block) ? 0 : 1;
    free_small(block.memory, block.bytes);
  }
  CHECK(broken == 0);
}

TEST_CASE("What a thread frees in bursts serves the others, up to a limit") {
  constexpr std::size_t kBytes = 200;
  constexpr std::size_t kMany = 100'000;
  const std::size_t before = shared_small_bytes();
  std::vector<void*> blocks(kMany);
  for (void*& block : blocks) block = allocate_small(kBytes);
  std::thread([&] {
    for (void* const block : blocks) free_small(block, kBytes);
  }).join();
  const std::size_t after = shared_small_bytes();
  CHECK(after - before <= 256 << 10);
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK(after > before);
  std::set<void*> freed(blocks.begin(), blocks.end());
  std::vector<void*> again(kBatch);
  for (void*& block : again) block = allocate_small(kBytes);
  CHECK(std::any_of(again.begin(), again.end(), [&](void* block) { return freed.contains(block); }));
  for (void* const block : again) free_small(block, kBytes);
#endif
}

TEST_SUITE_END();
