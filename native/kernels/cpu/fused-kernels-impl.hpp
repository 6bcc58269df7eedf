// The fused micro-kernels, compiled once per instruction set. fused-<isa>.cpp defines
// TOKENLEARNER_ISA_NAMESPACE and TOKENLEARNER_VECTOR_BYTES and includes this file. It is compiled with the
// flags of that instruction set.

#include <cstdint>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "kernels/cpu/fused-kernels.hpp"
#include "kernels/cpu/norm-mlp-kernels.hpp"
#include "kernels/dtype.hpp"

namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE {
namespace {

#include "kernels/cpu/simd.hpp"
//
#include "kernels/cpu/gelu.hpp"
//
#include "kernels/cpu/packed-inputs.hpp"
//
#include "kernels/cpu/pixel-panels.hpp"
//
#include "kernels/cpu/product-kernel.hpp"
//
#include "kernels/cpu/attention-kernel.hpp"
//
#include "kernels/cpu/hidden-kernel.hpp"
//
#include "kernels/cpu/token-kernel.hpp"
//
#include "kernels/cpu/exponential.hpp"
//
#include "kernels/cpu/centre-kernel.hpp"
//
#include "kernels/cpu/logits-kernel.hpp"
//
#include "kernels/cpu/pool-kernel.hpp"
//
#include "kernels/cpu/softmax-kernel.hpp"
//
#include "kernels/cpu/pool-shares-kernel.hpp"
//
#include "kernels/cpu/token-fuser-kernel.hpp"
//
#include "kernels/cpu/planes-kernel.hpp"

template <typename Stored, typename Compute>
const NormMlpKernels& norm_mlp_kernels() {
  static constexpr NormMlpKernels kernels = {
      .centre = centre<Stored, Compute>,
      .logits = logits<Compute>,
      .softmax_block = softmax_block<Compute>,
      .pool = pool<Compute>,
      .merge = merge<Compute>,
      .finish = finish<Stored, Compute>,
      .softmax_row = softmax_row<Compute>,
      .mix = mix_tokens<Stored, Compute>,
      .sigmoid = sigmoid<Compute>,
      .spread = spread<Stored, Compute>,
      .write_taps = write_taps<Compute>,
      .sum_taps = sum_taps<Compute>,
      .convolve = convolve<Compute>,
      .convolve_to_maps = convolve_to_maps<Compute>,
      .exponential = exponential_array<Compute, false>,
      .gelu_tanh = exponential_array<Compute, true>,
  };
  return kernels;
}

template <typename Stored, typename Compute>
TypedKernels typed_kernels() {
  return {
      .panel_rows = kRows,
      .few_pixels = kFewPixels<Compute>,
      .first_panels = {kRows, 1},
      .first_speed = 1,
      .pixel_rows = [](std::int64_t channels) { return channels; },
      .divides_inputs = kDividesInputs,
      .panel_pixels = static_cast<int>(kVectors * kLanesOf<Compute>),
      .lanes = static_cast<int>(kLanesOf<Compute>),
      .token_channels = kTokenChannels,
      .token_scratch = kTokenChannels * kTokenChunk * static_cast<std::int64_t>(sizeof(Compute)),
      .packed_bytes = packed_bytes<Compute>,
      .pack_pixels = pack_pixels<Stored, Compute>,
      .first_attention = attention<Compute>,
      .first_layer = layer<Compute>,
      .attention = attention<Compute>,
      .layer = layer<Compute>,
      .tokens = tokens<Stored, Compute>,
      .gelu = gelu_array<Compute>,
      .norm_mlp = &norm_mlp_kernels<Stored, Compute>(),
  };
}

IsaKernels make_kernels() {
  return {
      .float32 = typed_kernels<float, float>(),
      .float64 = typed_kernels<double, double>(),
      .float16 = typed_kernels<Half, float>(),
      .bfloat16 = typed_kernels<BFloat16, float>(),
  };
}

}  // namespace
}  // namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE
