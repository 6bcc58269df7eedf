#include "engine/memory/storage.hpp"

#include <cstdint>
#include <string>

#include "engine/error.hpp"
#include "engine/memory/host-blocks.hpp"

namespace tokenlearner {

namespace {
constexpr std::size_t kAlignment = 64;
}

Storage Storage::allocate(std::size_t bytes, bool zeroed) {
  void* base = nullptr;
  const std::size_t size = bytes + kAlignment;
  if (size > bytes) base = allocate_block(size, zeroed);
  if (base == nullptr) {
    throw Error(ErrorCode::ERR_OUT_OF_MEMORY, "Could not allocate " + std::to_string(bytes) + " bytes");
  }
  const auto address = reinterpret_cast<std::uintptr_t>(base);
  const auto aligned = (address + kAlignment - 1) & ~(kAlignment - 1);
  const auto free = [size](void* block) { free_block(block, size); };
  return {std::shared_ptr<void>(base, free), reinterpret_cast<void*>(aligned), bytes, Device::cpu()};
}

}  // namespace tokenlearner
