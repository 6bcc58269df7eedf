// How failed checks print the kernels' own types.
#pragma once

#include <doctest.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "kernels/dtype.hpp"
#include "kernels/status.hpp"

namespace tokenlearner::kernels {

// doctest finds these by the type's namespace.
inline doctest::String toString(Status status) { return name_of(status); }

inline doctest::String toString(DType dtype) { return name_of(dtype); }

inline std::string hex(std::uint32_t bits) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%x", static_cast<unsigned>(bits));
  return text;
}

}  // namespace tokenlearner::kernels
