// Uninitialised memory on cache-line boundaries.
#pragma once

#include <cstddef>
#include <cstdint>

#include "platform/platform.hpp"

namespace tokenlearner::kernels {

/** Owns bytes aligned to 64. Cannot be moved. Never throws: a failed allocation leaves it empty. */
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  ~AlignedBuffer() { platform::free_aligned(data_); }
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;

  /** Makes room for `bytes` bytes. The content is lost if the buffer grows. False if memory is short. */
  bool reserve(std::size_t bytes) noexcept {
    if (bytes <= size_) return true;
    platform::free_aligned(data_);
    const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    data_ = platform::allocate_aligned(kAlignment, rounded);
    size_ = data_ == nullptr ? 0 : rounded;
    return data_ != nullptr;
  }

  void* data() const noexcept { return data_; }

 private:
  static constexpr std::size_t kAlignment = 64;
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

/** This thread's scratch memory, or null. It is kept for the next run: new pages would cost more than a small run. */
inline void* scratch(std::int64_t bytes) {
  thread_local AlignedBuffer buffer;
  return buffer.reserve(static_cast<std::size_t>(bytes)) ? buffer.data() : nullptr;
}

}  // namespace tokenlearner::kernels
