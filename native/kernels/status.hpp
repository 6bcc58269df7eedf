// What a kernel launcher answers. Kernels throw nothing and print nothing: the engine turns a status into an
// error.
#pragma once

namespace tokenlearner::kernels {

enum class Status {
  ok,
  /** A size, stride or pointer that no valid call has. */
  invalid_argument,
  /** Valid, and not something that this engine computes; another engine does. */
  unsupported,
  out_of_memory,
  /** The device refused or failed a launch; CUDA only. */
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
