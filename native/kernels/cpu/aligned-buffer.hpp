// Uninitialised memory on cache-line boundaries.
#pragma once

#include <cstddef>

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
  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t kAlignment = 64;
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace tokenlearner::kernels
