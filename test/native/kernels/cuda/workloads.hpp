#pragma once

#include "kernels/cuda/token-learner-cuda.hpp"

namespace tokenlearner::kernels::cuda::test {

struct Workload {
  const char* name;
  CudaShape shape;
};

/// The sizes of test/bench/workloads.json: batch, channels, hidden, tokens, pixels.
inline constexpr Workload kWorkloads[] = {
    {"doc-1", {1, 64, 128, 8, 1024}},      {"doc-2", {2, 128, 512, 16, 4096}},
    {"zeta-test", {1, 256, 512, 8, 100}},  {"rt1-step", {6, 512, 1024, 8, 81}},
    {"rt1-batch", {48, 512, 1024, 8, 81}}, {"lucid", {12, 768, 1536, 8, 49}},
    {"vit-b", {32, 768, 1536, 16, 196}},   {"vit-l", {1, 1024, 2048, 16, 1024}},
    {"cifar", {256, 128, 256, 4, 64}},
};

}  // namespace tokenlearner::kernels::cuda::test
