// Shared by the fused CUDA engines: device memory, and statuses of kernels as errors.
#pragma once

#include <cstddef>
#include <string>

#include "engine/error.hpp"
#include "engine/memory/tensor.hpp"
#include "kernels/status.hpp"

namespace tokenlearner {

/// The kernels cannot be used on this device or for this shape; another engine can. The message is the
/// reason.
class Refused final : public Error {
 public:
  explicit Refused(const std::string& reason) : Error(ErrorCode::ERR_ENGINE_UNSUPPORTED, reason) {}
};

/// Returns if `status` is ok. Throws Refused; ERR_OUT_OF_MEMORY, ERR_DEVICE_LOST or ERR_LIBTORCH.
void check_cuda(kernels::Status status);

/// Device memory, aligned to kAlignment.
struct DeviceBytes {
  /// For workspace and packed weights. libtorch's allocator aligns to 512.
  static constexpr std::size_t kAlignment = 1024;

  DeviceBytes(std::size_t bytes, Device device);

  Tensor tensor;
  std::byte* data = nullptr;
  std::size_t size = 0;
};

}  // namespace tokenlearner
