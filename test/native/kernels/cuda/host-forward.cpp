#include "host-forward.hpp"

#include <doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "kernels/cuda/numerics.hpp"
#include "stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

struct Aligned {
  explicit Aligned(std::size_t bytes)
      : size((bytes + 1023) / 1024 * 1024 + 1024), memory(std::aligned_alloc(1024, size), &std::free) {
    // NaN as every type, so that a read before the write gives a wrong result.
    std::memset(memory.get(), 0xff, size);
  }
  std::size_t size;
  std::unique_ptr<void, void (*)(void*)> memory;
};

/** The strides of tokens (B, C, G) become those of (B, G, C). */
void put_tokens_first(ForwardParams& params, const CudaShape& shape) {
  params.tokens_channel_stride = 1;
  params.tokens_token_stride = shape.channels;
}

}  // namespace

Result run_forward(const Problem& problem, Precision precision, Variant variant, const Plan& plan,
                   bool tokens_first) {
  ForwardParams params = problem.params();
  const CudaShape shape = problem.shape();
  if (tokens_first) put_tokens_first(params, shape);
  LayerView layers[2];
  const WeightsView weights = problem.weights(layers);
  const std::size_t packed_bytes = packed_weights_bytes(shape, precision, variant);
  const Aligned packed_memory(packed_bytes);
  const Aligned workspace(plan.workspace_bytes);
  CudaPackedWeights packed;
  Status status = cuda_pack_weights(weights, precision, variant, packed_memory.memory.get(), packed_bytes,
                                    &packed, nullptr);
  CHECK(status == Status::ok);

  std::vector<float> attention(problem.attention().size(), NAN);
  std::vector<std::uint8_t> tokens(problem.tokens().size() * item_size(params.dtype), 0xff);
  params.x = problem.x().data();
  params.attention = attention.data();
  params.tokens = tokens.data();
  std::vector<std::uint32_t> counters(plan.counter_bytes / sizeof(std::uint32_t), 0);
  const Scratch scratch{workspace.memory.get(), plan.workspace_bytes, counters.data(), plan.counter_bytes};
  status = cuda_fused_forward(params, packed, plan, scratch, nullptr);
  CHECK(status == Status::ok);
  // The next forward of the stream starts with them.
  CHECK(std::all_of(counters.begin(), counters.end(), [](std::uint32_t counter) { return counter == 0; }));

  Result result;
  result.attention.assign(attention.begin(), attention.end());
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t c = 0; c < shape.channels; ++c) {
      for (std::int64_t g = 0; g < shape.tokens; ++g) {
        const std::int64_t at = b * params.tokens_batch_stride + c * params.tokens_channel_stride +
                                g * params.tokens_token_stride;
        result.tokens.push_back(load_element(tokens.data(), params.dtype, at));
      }
    }
  }
  return result;
}

}  // namespace tokenlearner::kernels::cuda::test
