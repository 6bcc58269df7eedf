#include "engine/cuda/refusals.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

namespace tokenlearner {

namespace {

std::mutex mutex;
/// Guarded by `mutex`. Never destroyed: a thread may still run when the process ends.
std::map<Device, std::vector<Refusal>>& lists() {
  static auto& instance = *new std::map<Device, std::vector<Refusal>>();
  return instance;
}

}  // namespace

void note_refusal(Device device, Refusal refusal) {
  const std::lock_guard lock(mutex);
  std::vector<Refusal>& list = lists()[device];
  if (std::find(list.begin(), list.end(), refusal) == list.end()) list.push_back(std::move(refusal));
}

std::vector<Refusal> refusals(Device device) {
  const std::lock_guard lock(mutex);
  const auto found = lists().find(device);
  return found == lists().end() ? std::vector<Refusal>() : found->second;
}

}  // namespace tokenlearner
