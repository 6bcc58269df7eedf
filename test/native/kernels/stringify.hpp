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

inline doctest::String toString(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "float32";
    case DType::float64:
      return "float64";
    case DType::float16:
      return "float16";
    case DType::bfloat16:
      return "bfloat16";
  }
  return "";
}

inline std::string hex(std::uint32_t bits) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%x", static_cast<unsigned>(bits));
  return text;
}

}  // namespace tokenlearner::kernels
