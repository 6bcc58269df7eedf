#include "engine/memory/storage.hpp"

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>

#include "engine/error.hpp"

namespace tokenlearner {

namespace {
constexpr std::size_t kAlignment = 64;
}

Storage Storage::allocate(std::size_t bytes, bool zeroed) {
  // calloc returns untouched zero pages. aligned_alloc and memset would touch every page.
  void* base = nullptr;
  if (bytes <= std::numeric_limits<std::size_t>::max() - kAlignment) {
    base = zeroed ? std::calloc(1, bytes + kAlignment) : std::malloc(bytes + kAlignment);
  }
  if (base == nullptr) {
    throw Error(ErrorCode::ERR_OUT_OF_MEMORY, "Could not allocate " + std::to_string(bytes) + " bytes");
  }
  const auto address = reinterpret_cast<std::uintptr_t>(base);
  const auto aligned = (address + kAlignment - 1) & ~(kAlignment - 1);
  return {std::shared_ptr<void>(base, std::free), reinterpret_cast<void*>(aligned), bytes, Device::cpu()};
}

}  // namespace tokenlearner
