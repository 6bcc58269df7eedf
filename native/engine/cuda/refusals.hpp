// The kernels of the fused engine that this process does not use on a device, and why. runtime.info() shows
// them.
#pragma once

#include <string>
#include <vector>

#include "engine/memory/device.hpp"

namespace tokenlearner {

struct Refusal {
  std::string kernel;
  std::string reason;

  bool operator==(const Refusal&) const = default;
};

/// Adds a refusal to the device's list, once. Any thread.
void note_refusal(Device device, Refusal refusal);

/// The device's list, oldest first. Any thread.
std::vector<Refusal> refusals(Device device);

}  // namespace tokenlearner
