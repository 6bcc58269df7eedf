// Macros and types so that nvcc (for the device) and a plain C++ compiler (for the tests) compile the same
// code.
//
// Note: [Machines]
// The body of every kernel is a template over a Machine. The Machine has the few things that only a GPU has:
// thread indices, shared memory, barriers, asynchronous copies, matrix instructions. The real one is in
// device-machine.cuh. The tests have one that runs a whole thread block on the host: each thread is a fiber,
// and copies complete as late as their contract allows. So index arithmetic, edges, pipelines and summation
// order are tested without a GPU.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define TOKENLEARNER_PORTABLE __host__ __device__ __forceinline__
#define TOKENLEARNER_KERNEL_BODY __device__ __forceinline__
#else
#define TOKENLEARNER_PORTABLE [[gnu::always_inline]] inline
#define TOKENLEARNER_KERNEL_BODY inline
#endif

#if defined(__CUDA_ARCH__)
#define TOKENLEARNER_UNROLL _Pragma("unroll")
#define TOKENLEARNER_NO_UNROLL _Pragma("unroll 1")
#define TOKENLEARNER_UNROLL_BY_4 _Pragma("unroll 4")
#else
#define TOKENLEARNER_UNROLL
#define TOKENLEARNER_NO_UNROLL
#define TOKENLEARNER_UNROLL_BY_4
#endif

namespace tokenlearner::kernels::cuda {

/** 16 bytes, moved by one instruction. */
struct alignas(16) Word4 {
  std::uint32_t word[4];
};

struct alignas(8) Float2 {
  float x, y;
};

struct alignas(16) Float4 {
  float x, y, z, w;
};

TOKENLEARNER_PORTABLE std::uint32_t bits_of(float value) {
  std::uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

TOKENLEARNER_PORTABLE float float_of(std::uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

/**
 * The same pointer. The compiler does not know how it was computed, so it adds offsets to it, and does not
 * multiply indices by strides again for each load.
 */
template <typename T>
TOKENLEARNER_PORTABLE const T* computed(const T* pointer) {
#if defined(__CUDA_ARCH__)
  asm("" : "+l"(pointer));
#endif
  return pointer;
}

template <typename Integer>
TOKENLEARNER_PORTABLE constexpr Integer ceil_div(Integer a, Integer b) {
  return (a + b - 1) / b;
}

template <typename Integer>
TOKENLEARNER_PORTABLE constexpr Integer round_up(Integer a, Integer b) {
  return ceil_div(a, b) * b;
}

template <typename Integer>
TOKENLEARNER_PORTABLE constexpr Integer min_of(Integer a, Integer b) {
  return a < b ? a : b;
}

}  // namespace tokenlearner::kernels::cuda
