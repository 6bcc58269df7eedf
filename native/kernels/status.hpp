// The result of a kernel launcher. Kernels throw nothing and print nothing: native/engine turns a status into
// an error.
#pragma once

namespace tokenlearner::kernels {

enum class Status {
  ok,
  /** A size, stride or pointer is invalid. */
  invalid_argument,
  /** The call is valid, but this engine cannot compute it. Another engine can. */
  unsupported,
  out_of_memory,
  /** CUDA only: the device refused a launch, or a launch failed. */
  device_error,
};

constexpr const char* name_of(Status status) {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::invalid_argument:
      return "invalid argument";
    case Status::unsupported:
      return "unsupported";
    case Status::out_of_memory:
      return "out of memory";
    case Status::device_error:
      return "device error";
  }
  return "";
}

}  // namespace tokenlearner::kernels
