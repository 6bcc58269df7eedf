// How the host machine's launches of the tensor-core kernels go wrong, and how many there were. A test resets
// it.
#pragma once

#include <atomic>
#include <functional>

#include "kernels/status.hpp"

namespace tokenlearner::kernels::cuda::test {

struct HostFaults {
  /** If not ok, launch_maps_mma and the official layers' first launch do nothing and return this. */
  Status maps_status = Status::ok;
  /** Added to the first pixel of each image's first map; in the official layers, to a sum of each image. */
  float map_error = 0.0f;
  /** True if `map_error` is only for forwards that divide the hidden rows, or passes of one image. */
  bool only_divided = false;
  /** Called at each such launch, on its thread, if it is set. */
  std::function<void()> on_maps;
  std::atomic<int> maps_launches = 0;
  std::atomic<int> weight_packings = 0;
  std::atomic<int> counter_clearings = 0;
};
inline HostFaults host_faults;

}  // namespace tokenlearner::kernels::cuda::test
