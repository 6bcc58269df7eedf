// Device memory for the tests on a GPU: allocated on construction, freed on destruction, copied
// synchronously. Errors are exceptions.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "gpu-runtime.hpp"

namespace tokenlearner::kernels::cuda::test {

/** Throws std::runtime_error with CUDA's own text unless `status` is ok. */
inline void require_ok(Status status, const std::string& call) {
  if (status != Status::ok)
    throw std::runtime_error(call + ": " + name_of(status) + ": " + last_error().text);
}

class DeviceMemory {
 public:
  explicit DeviceMemory(std::size_t bytes) : bytes_(bytes + kAlignment) {
    require_ok(allocate_device(bytes_, &base_), "allocate_device(" + std::to_string(bytes_) + ")");
    const auto address = reinterpret_cast<std::uintptr_t>(base_);
    data_ = reinterpret_cast<void*>((address + kAlignment - 1) / kAlignment * kAlignment);
  }
  DeviceMemory(const std::vector<std::uint8_t>& content, void* stream) : DeviceMemory(content.size()) {
    write(content.data(), content.size(), stream);
  }
  ~DeviceMemory() { free_device(base_); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  void* get() const { return data_; }

  void write(const void* source, std::size_t bytes, void* stream) const {
    check(copy_async(data_, source, bytes, CopyKind::host_to_device, stream), stream);
  }
  void read(void* target, std::size_t bytes, void* stream) const {
    check(copy_async(target, data_, bytes, CopyKind::device_to_host, stream), stream);
  }
  /** NaN as every type, so that a missing write or an early read gives a wrong result. */
  void poison(std::size_t bytes, void* stream) const {
    const std::vector<std::uint8_t> ones(bytes, 0xff);
    write(ones.data(), bytes, stream);
  }

 private:
  static constexpr std::size_t kAlignment = 1024;

  static void check(Status copied, void* stream) {
    require_ok(copied, "copy_async");
    require_ok(synchronize_stream(stream), "synchronize_stream");
  }

  std::size_t bytes_;
  void* base_ = nullptr;
  void* data_ = nullptr;
};

}  // namespace tokenlearner::kernels::cuda::test
