// The calls that the forward and the packing refuse, before they launch anything.
#include <doctest.h>

#include "kernels/cuda/token-learner-cuda.hpp"
#include "problem.hpp"
#include "stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

/** float32: 4 channels, 8 hidden rows, 2 tokens, 5 pixels. */
Problem tiny_problem() { return Problem({1, 4, 8, 2, 1, 5}, DType::float32, Layout::channels_first, 1); }

TEST_SUITE("cuda/arguments") {
  TEST_CASE("packing refuses a buffer that is too small, and three layers") {
    const Problem problem = tiny_problem();
    LayerView layers[2];
    WeightsView weights = problem.weights(layers);
    CudaPackedWeights packed;
    alignas(1024) static char buffer[1024];
    const auto pack = [&] {
      return cuda_pack_weights(weights, Precision::tf32, Variant::mma, buffer, sizeof(buffer), &packed,
                               nullptr);
    };
    CHECK(pack() == Status::invalid_argument);
    weights.num_layers = 3;
    CHECK(pack() == Status::unsupported);
  }

  TEST_CASE("packing refuses sizes beyond 32 bits") {
    const Problem problem = tiny_problem();
    LayerView layers[2];
    WeightsView weights = problem.weights(layers);
    // 4 channels by 2^31 hidden rows.
    weights.hidden = std::int64_t{1} << 31;
    CudaPackedWeights packed;
    CHECK(cuda_pack_weights(weights, Precision::tf32, Variant::mma, nullptr, 0, &packed, nullptr) ==
          Status::unsupported);
  }

  TEST_CASE("forward refuses mixed precisions and formats, null pointers and float64") {
    const Problem problem = tiny_problem();
    CudaPackedWeights packed;
    packed.precision = Precision::tf32;
    packed.channels = 4;
    packed.hidden = 8;
    packed.tokens = 2;
    ForwardParams params = problem.params();
    params.batch = 0;
    Plan plan;
    const auto forward = [&] { return cuda_fused_forward(params, packed, plan, {}, nullptr); };
    plan.precision = Precision::float32;
    CHECK(forward() == Status::invalid_argument);
    plan.precision = Precision::tf32;
    packed.format = WeightFormat::rows;
    CHECK(forward() == Status::invalid_argument);
    packed.format = WeightFormat::tile_images;
    CHECK(forward() == Status::ok);
    params.batch = 1;
    CHECK(forward() == Status::invalid_argument);
    params.dtype = DType::float64;
    CHECK(forward() == Status::unsupported);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
