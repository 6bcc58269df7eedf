#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace tokenlearner {

enum class DeviceKind : int32_t { kCpu, kCuda };

/// The CPU, or one CUDA device.
struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  /// The number of a CUDA device, from 0. It is 0 for the CPU.
  int32_t index = 0;

  static constexpr Device cpu() { return {}; }
  static constexpr Device cuda(int32_t index) { return {DeviceKind::kCuda, index}; }
  constexpr bool is_cpu() const { return kind == DeviceKind::kCpu; }
  constexpr bool is_cuda() const { return kind == DeviceKind::kCuda; }
  constexpr auto operator<=>(const Device&) const = default;
  std::string to_string() const { return is_cpu() ? "cpu" : "cuda:" + std::to_string(index); }
};

}  // namespace tokenlearner
