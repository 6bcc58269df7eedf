#pragma once

#include <span>
#include <vector>

#include "engine/batch/batch-request.hpp"

namespace tokenlearner {

/// The outputs of one request, or why there are none.
struct BatchResult {
  Outputs outputs;
  std::optional<Failure> failure;
};

/// Runs requests that may share a run: see Op::batch_key(). If they fail together, each half runs by itself, and so
/// on. So a request that cannot run fails alone, and a batch that is too large for the memory still succeeds. Only
/// a lost device fails all at once.
std::vector<BatchResult> run_batch(const Op& op, Device device,
                                   std::span<const std::shared_ptr<BatchRequest>> batch);

}  // namespace tokenlearner
