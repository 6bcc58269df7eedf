// TokenLearner's micro-kernels for bfloat16 with products of pairs: Note [Products of pairs]. The file that includes this one
// defines what fused-kernels-impl.hpp needs, and
//   TOKENLEARNER_PAIR_PRODUCT   a header with add_pair_product(), or with the tile operations of tile-product.hpp
//   TOKENLEARNER_TILES          if it is the latter

#include <cstdint>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "kernels/cpu/fused-kernels.hpp"
#include "kernels/dtype.hpp"

namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE {
namespace {

#include "kernels/cpu/simd.hpp"
//
#include "kernels/cpu/gelu.hpp"
//
#include "kernels/cpu/packed-inputs.hpp"
//
#include TOKENLEARNER_PAIR_PRODUCT
//
#include "kernels/cpu/pixel-panels.hpp"
//
#include "kernels/cpu/pixel-pairs.hpp"
//
#include "kernels/cpu/product-kernel.hpp"
//
#if defined(TOKENLEARNER_TILES)
#include "kernels/cpu/tile-product.hpp"
#endif
//
#include "kernels/cpu/attention-kernel.hpp"
//
#include "kernels/cpu/hidden-kernel.hpp"
//
#include "kernels/cpu/token-kernel.hpp"

/** The norm_mlp kernels are those of float32 sums: they subtract means from x, which is no longer exact in bfloat16 then. */
TypedKernels pair_kernels() {
  return {
      .panel_rows = kRows,
      .few_pixels = kFewPixels<float>,
      .first_panels = {kPairRows, kPairRun},
      .first_speed = kPairSpeed,
      .pixel_rows = pair_rows,
      .divides_inputs = kDividesInputs,
      .panel_pixels = static_cast<int>(kVectors * kLanesOf<float>),
      .lanes = static_cast<int>(kLanesOf<float>),
      .token_channels = kTokenChannels,
      .token_scratch = kTokenChannels * kTokenChunk * static_cast<std::int64_t>(sizeof(float)),
      .packed_bytes = packed_bytes<float>,
      .pack_pixels = pack_pixel_pairs,
      .first_attention = attention<Pair>,
      .first_layer = layer<Pair>,
      .attention = attention<float>,
      .layer = layer<float>,
      .tokens = tokens<BFloat16, float>,
      .gelu = gelu_array<float>,
      .norm_mlp = nullptr,
  };
}

}  // namespace
}  // namespace tokenlearner::kernels::TOKENLEARNER_ISA_NAMESPACE
