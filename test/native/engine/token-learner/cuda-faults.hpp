// Faults of the fused CUDA engines' kernels on the host machine, and what their tests ask of results.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "engine/cuda/refusals.hpp"
#include "host-device.hpp"
#include "host-faults.hpp"

namespace test {

using tokenlearner::Device;
using tokenlearner::Refusal;
using tokenlearner::kernels::Status;
using tokenlearner::kernels::cuda::Fault;
using tokenlearner::kernels::cuda::test::host_faults;

inline void set_fault(Status status, Fault fault, const char* text) {
  host_faults.maps_status = status;
  ::test::host_error = {1, fault, "cudaErrorOfTheTest", text};
}

/// Resets all faults before and after each test.
struct Healthy {
  Healthy() { reset(); }
  ~Healthy() { reset(); }
  static void reset() {
    host_faults.maps_status = Status::ok;
    host_faults.map_error = 0.0f;
    host_faults.only_divided = false;
    host_faults.on_maps = nullptr;
    host_faults.maps_launches = 0;
    host_faults.weight_packings = 0;
    host_faults.counter_clearings = 0;
    ::test::host_error = {};
  }
};

inline double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::fabs(double{a[i]} - b[i]));
  return largest;
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline bool is_refused(const std::string& kernel, const std::string& reason) {
  const std::vector<Refusal> list = tokenlearner::refusals(Device::cpu());
  return std::any_of(list.begin(), list.end(), [&](const Refusal& refusal) {
    return refusal.kernel == kernel && contains(refusal.reason, reason);
  });
}

}  // namespace test
