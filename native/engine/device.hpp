#pragma once

#include <cstdint>
#include <string>

namespace tokenlearner {

/// The CPU, or one CUDA device.
struct Device {
  /// -1 is the CPU; 0 and up is that CUDA device.
  int32_t code = -1;

  static constexpr Device cpu() { return Device{-1}; }
  constexpr bool is_cpu() const { return code < 0; }
  constexpr bool is_cuda() const { return code >= 0; }
  constexpr bool operator==(const Device&) const = default;
  std::string to_string() const { return is_cpu() ? "cpu" : "cuda:" + std::to_string(code); }
};

}  // namespace tokenlearner
