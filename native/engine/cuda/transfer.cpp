#include "engine/cuda/transfer.hpp"

#include <array>
#include <atomic>

#include "engine/cuda/faults.hpp"
#include "engine/cuda/stream.hpp"
#include "engine/torch/abi.hpp"
#include "kernels/cuda/copy.hpp"
#include "kernels/cuda/device.hpp"

namespace tokenlearner {

namespace {

namespace cuda = kernels::cuda;

constexpr std::size_t kTrackedDevices = 64;

enum class Answer : signed char { unknown, yes, no };

/// The runtime is linked into this addon. It may need a newer driver than libtorch's.
std::array<std::atomic<Answer>, kTrackedDevices> answers = {};

}  // namespace

bool can_start_copies(Device device) {
  if (device.is_cpu() || static_cast<std::size_t>(device.index) >= kTrackedDevices) return false;
  std::atomic<Answer>& answer = answers[static_cast<std::size_t>(device.index)];
  if (answer.load() == Answer::unknown) {
    cuda::DeviceProperties properties;
    const bool works = cuda::device_properties(device.index, &properties) == kernels::Status::ok;
    answer.store(works ? Answer::yes : Answer::no);
  }
  return answer.load() == Answer::yes;
}

void start_copy(Device device, const Storage& host, void* target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  keep_until_synchronized(device, host);
  // The default stream is that of the current device.
  const TorchDeviceGuard guard(device);
  if (cuda::copy_async(target, source, bytes, current_stream(device)) == kernels::Status::ok) return;
  throw error_of("A copy between host and " + device.to_string(), cuda::last_error());
}

}  // namespace tokenlearner
