#include "engine/batch/replicas.hpp"

#include <algorithm>

#include "engine/run/graph.hpp"

namespace tokenlearner {

std::shared_ptr<const Op> Replicas::of(const std::shared_ptr<const Op>& op) {
  if (op->runs_anywhere()) return op;
  const std::lock_guard lock(mutex_);
  std::erase_if(copies_, [](const auto& copy) { return copy.first.expired(); });
  const auto known =
      std::find_if(copies_.begin(), copies_.end(), [&](const auto& copy) { return copy.first.lock() == op; });
  if (known != copies_.end()) return known->second;
  std::shared_ptr<const Op> copy = guarded_run(device_, [&] { return relocated(op, device_); });
  if (copy != op) copies_.emplace_back(op, copy);
  return copy;
}

}  // namespace tokenlearner
