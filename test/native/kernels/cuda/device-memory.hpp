// Device memory for the tests on a GPU: allocated on construction, freed on destruction, copied
// synchronously. Errors are exceptions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "gpu-runtime.hpp"
#include "guards.hpp"

namespace tokenlearner::kernels::cuda::test {

/** Throws std::runtime_error with CUDA's own text unless `status` is ok. */
inline void require_ok(Status status, const std::string& call) {
  if (status != Status::ok)
    throw std::runtime_error(call + ": " + name_of(status) + ": " + last_error().text);
}

/** The content of new device memory. */
enum class Fill {
  /** Guard bytes around the data; data without content is NaN as every type. */
  guarded,
  /** Only the given content is written, so that initcheck sees reads of the rest. */
  none,
};

/** A buffer, aligned to kBufferAlignment. */
class DeviceMemory {
 public:
  /** Without content. */
  DeviceMemory(std::size_t bytes, Fill fill, void* stream) : DeviceMemory(bytes, fill) {
    if (fill == Fill::guarded) write_block(std::vector<std::uint8_t>(bytes, 0xff), stream);
  }
  DeviceMemory(const std::vector<std::uint8_t>& content, Fill fill, void* stream)
      : DeviceMemory(content.size(), fill) {
    if (fill == Fill::guarded) {
      write_block(content, stream);
    } else {
      copy(get(), content.data(), content.size(), CopyKind::host_to_device, stream);
    }
  }
  ~DeviceMemory() { free_device(base_); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  void* get() const { return static_cast<char*>(base_) + block_.data; }

  void read(void* target, std::size_t bytes, void* stream) const {
    copy(target, get(), bytes, CopyKind::device_to_host, stream);
  }
  /** find_damage of the guards; empty without guards. */
  std::string damage(void* stream) const {
    if (fill_ == Fill::none) return "";
    std::vector<std::uint8_t> content(block_.total);
    copy(content.data(), base_, content.size(), CopyKind::device_to_host, stream);
    return find_damage(block_, content.data());
  }

 private:
  DeviceMemory(std::size_t bytes, Fill fill) : fill_(fill) {
    const std::size_t total = guarded_bytes(bytes);
    require_ok(allocate_device(total, &base_), "allocate_device(" + std::to_string(total) + ")");
    block_ = guarded_block(reinterpret_cast<std::uintptr_t>(base_), bytes);
  }

  void write_block(const std::vector<std::uint8_t>& data, void* stream) const {
    std::vector<std::uint8_t> content(block_.total);
    write_guards(block_, content.data());
    std::copy(data.begin(), data.end(), content.begin() + static_cast<std::ptrdiff_t>(block_.data));
    copy(base_, content.data(), content.size(), CopyKind::host_to_device, stream);
  }

  static void copy(void* target, const void* source, std::size_t bytes, CopyKind kind, void* stream) {
    if (bytes == 0) return;
    require_ok(copy_async(target, source, bytes, kind, stream), "copy_async");
    require_ok(synchronize_stream(stream), "synchronize_stream");
  }

  Fill fill_;
  void* base_ = nullptr;
  GuardedBlock block_;
};

}  // namespace tokenlearner::kernels::cuda::test
