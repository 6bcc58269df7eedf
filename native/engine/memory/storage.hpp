#pragma once

#include <cstddef>
#include <memory>

#include "engine/memory/device.hpp"

namespace tokenlearner {

/// A reference-counted span of memory on one device. Copies share it. The last one frees it, on any thread.
class Storage {
 public:
  Storage() = default;
  Storage(std::shared_ptr<void> owner, void* data, std::size_t bytes, Device device)
      : owner_(std::move(owner)), data_(data), bytes_(bytes), device_(device) {}

  /// Host memory, aligned to 64 bytes. Throws ERR_OUT_OF_MEMORY.
  static Storage allocate(std::size_t bytes, bool zeroed);

  /// Memory that someone else keeps alive while this is in use: the JavaScript buffer of a synchronous call.
  static Storage borrow(void* data, std::size_t bytes) { return {nullptr, data, bytes, Device::cpu()}; }

  std::byte* data() const { return static_cast<std::byte*>(data_); }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  /// True for page-locked host memory. A GPU copies it without staging.
  bool pinned() const { return pinned_; }
  void set_pinned() { pinned_ = true; }
  const std::shared_ptr<void>& owner() const { return owner_; }

 private:
  std::shared_ptr<void> owner_;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  Device device_;
  bool pinned_ = false;
};

}  // namespace tokenlearner
