#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/run/op.hpp"

namespace tokenlearner {

/// Copies of operators on one device. A copy is made at the first use and dropped after its original. Any thread.
class Replicas {
 public:
  explicit Replicas(Device device) : device_(device) {}

  /// `op` itself, if it runs on the device as it is, or its copy there. Throws ERR_OUT_OF_MEMORY,
  /// ERR_DEVICE_LOST.
  std::shared_ptr<const Op> of(const std::shared_ptr<const Op>& op);

 private:
  const Device device_;
  std::mutex mutex_;
  std::vector<std::pair<std::weak_ptr<const Op>, std::shared_ptr<const Op>>> copies_;
};

}  // namespace tokenlearner
