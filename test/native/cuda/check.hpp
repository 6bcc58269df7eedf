// A failed check prints where and what, and the test goes on; main returns failures().
#pragma once

#include <cstdio>

namespace tokenlearner::kernels::cuda::test {

inline int& failure_count() {
  static int count = 0;
  return count;
}

inline int failures() { return failure_count() == 0 ? 0 : 1; }

}  // namespace tokenlearner::kernels::cuda::test

#define CHECK(condition, ...)                                             \
  do {                                                                    \
    if (!(condition)) {                                                   \
      ++tokenlearner::kernels::cuda::test::failure_count();               \
      std::printf("%s:%d: failed: %s: ", __FILE__, __LINE__, #condition); \
      std::printf(__VA_ARGS__);                                           \
      std::printf("\n");                                                  \
    }                                                                     \
  } while (false)
