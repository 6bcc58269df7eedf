// Guard bytes on both sides of a buffer. They show a write outside the buffer, and they are NaN in every type, so
// a value that was read outside it spoils the result. compute-sanitizer sees neither within an allocation.
// Host only; device-memory.hpp copies the blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tokenlearner::kernels::cuda::test {

inline constexpr std::size_t kBufferAlignment = 1024;
inline constexpr std::size_t kGuardBytes = 4096;

/** The place of a buffer in its block: guard, data, guard. In bytes from the block's start. */
struct GuardedBlock {
  std::size_t data = 0;
  std::size_t bytes = 0;
  std::size_t total = 0;
};

/** The size of a block, whatever its address. */
constexpr std::size_t guarded_bytes(std::size_t bytes) { return bytes + 2 * kGuardBytes + kBufferAlignment; }

/** The data is at a multiple of kBufferAlignment. */
constexpr GuardedBlock guarded_block(std::uintptr_t base, std::size_t bytes) {
  const std::uintptr_t least = base + kGuardBytes;
  const std::uintptr_t data = (least + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
  return {data - base, bytes, guarded_bytes(bytes)};
}

/**
 * The guard's byte at an offset of the block. The value depends on the offset, and each pair from an even offset
 * on is a NaN in bfloat16 and in float16, so each four bytes are a NaN in float32.
 */
constexpr std::uint8_t guard_byte(std::size_t offset) {
  if (offset % 2 == 1) return 0xff;
  return static_cast<std::uint8_t>(0x81 + offset / 2 * 37 % 127);
}

/** `content` is the whole block. The data stays as it is. */
inline void write_guards(const GuardedBlock& block, std::uint8_t* content) {
  for (std::size_t i = 0; i < block.data; ++i) content[i] = guard_byte(i);
  for (std::size_t i = block.data + block.bytes; i < block.total; ++i) content[i] = guard_byte(i);
}

/** Names the overwritten byte that is nearest to the data. Empty if there is none. */
inline std::string find_damage(const GuardedBlock& block, const std::uint8_t* content) {
  const std::size_t end = block.data + block.bytes;
  for (std::size_t i = end; i < block.total; ++i) {
    if (content[i] != guard_byte(i))
      return "byte " + std::to_string(i - end) + " behind the end was overwritten";
  }
  for (std::size_t i = block.data; i-- > 0;) {
    if (content[i] != guard_byte(i))
      return "byte " + std::to_string(block.data - i) + " before the start was overwritten";
  }
  return "";
}

}  // namespace tokenlearner::kernels::cuda::test
