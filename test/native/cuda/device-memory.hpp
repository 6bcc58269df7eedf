// Device memory for the tests on a GPU: allocated on construction, freed on destruction, copied
// synchronously.
#pragma once

#include <cstdint>
#include <vector>

#include "check.hpp"
#include "kernels/cuda/device.hpp"

namespace tokenlearner::kernels::cuda::test {

class DeviceMemory {
 public:
  explicit DeviceMemory(std::size_t bytes) : bytes_(bytes + kAlignment) {
    const Status status = allocate_device(bytes_, &base_);
    CHECK(status == Status::ok, "allocate_device(%zu): %s", bytes_, last_error().text);
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
  /** NaN as every type: what is not written, or is read too early, shows. */
  void poison(std::size_t bytes, void* stream) const {
    const std::vector<std::uint8_t> ones(bytes, 0xff);
    write(ones.data(), bytes, stream);
  }

 private:
  static constexpr std::size_t kAlignment = 1024;

  static void check(Status copied, void* stream) {
    CHECK(copied == Status::ok, "copy: %s", last_error().text);
    CHECK(synchronize_stream(stream) == Status::ok, "synchronize: %s", last_error().text);
  }

  std::size_t bytes_;
  void* base_ = nullptr;
  void* data_ = nullptr;
};

}  // namespace tokenlearner::kernels::cuda::test
