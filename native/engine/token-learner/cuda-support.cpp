#include "engine/token-learner/cuda-support.hpp"

#include <cstdint>

#include "engine/cuda/faults.hpp"
#include "engine/torch/aten.hpp"
#include "kernels/cuda/device.hpp"

namespace tokenlearner {

namespace cuda = kernels::cuda;
using kernels::Status;

void check_cuda(Status status) {
  if (status == Status::ok) return;
  if (status == Status::unsupported) throw Refused("a size is beyond what they can compute");
  if (status != Status::device_error && status != Status::out_of_memory)
    throw Error(ErrorCode::ERR_LIBTORCH, std::string("The fused CUDA engine answered: ") + name_of(status));
  const cuda::LastError last = cuda::last_error();
  if (last.fault == cuda::Fault::launch_refused) throw Refused(text_of(last));
  throw error_of("The fused CUDA engine", last);
}

DeviceBytes::DeviceBytes(std::size_t bytes, Device device)
    : tensor(aten::empty({static_cast<int64_t>(bytes + kAlignment)}, DType::uint8, device, false)),
      size(bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.data());
  data = reinterpret_cast<std::byte*>((address + kAlignment - 1) & ~(kAlignment - 1));
}

}  // namespace tokenlearner
