// kernels/cuda/device.hpp on the host: an A100, whose last error the test sets.
#include "host-device.hpp"

namespace tokenlearner::kernels::cuda {

Status device_properties(int, DeviceProperties* properties) {
  *properties = {8, 0, 108, 163 * 1024};
  return Status::ok;
}

LastError last_error() { return ::test::host_error; }

}  // namespace tokenlearner::kernels::cuda
