// On the host machine: cuda_epilogue over a given hidden layer, cuda_token_product, and the calls that are
// refused.
#include <doctest.h>

#include <cmath>
#include <random>
#include <vector>

#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/token-learner-cuda.hpp"
#include "problem.hpp"
#include "stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

std::vector<std::uint8_t> elements(std::mt19937& generator, std::size_t count, DType dtype) {
  std::normal_distribution<float> normal;
  std::vector<std::uint8_t> bytes(count * item_size(dtype));
  for (std::size_t i = 0; i < count; ++i)
    store_element(bytes.data(), dtype, static_cast<std::int64_t>(i), normal(generator));
  return bytes;
}

double exact_gelu(double h) { return 0.5 * h * std::erfc(-h * std::sqrt(0.5)); }

void check_epilogue(DType dtype, Precision precision, double most) {
  constexpr std::int64_t kGroups = 3, kHidden = 37, kColumns = 129, kStride = 140, kMapStride = 150;
  std::mt19937 generator(3);
  const auto hidden = elements(generator, kGroups * kHidden * kStride, dtype);
  const auto bias = elements(generator, kGroups * kHidden, dtype);
  const auto scale = elements(generator, kGroups * kHidden, dtype);
  const auto token_bias = elements(generator, kGroups, dtype);
  std::vector<float> attention(kGroups * kMapStride, NAN);
  EpilogueParams params;
  params.hidden = hidden.data();
  params.dtype = dtype;
  params.row_stride = kStride;
  params.columns = kColumns;
  params.groups = kGroups;
  params.hidden_per_group = kHidden;
  params.bias = bias.data();
  params.scale = scale.data();
  params.token_bias = token_bias.data();
  params.weights_dtype = dtype;
  params.precision = precision;
  params.attention = attention.data();
  params.attention_group_stride = kMapStride;
  CHECK(cuda_epilogue(params, nullptr) == Status::ok);
  std::vector<double> got, expected;
  for (std::int64_t g = 0; g < kGroups; ++g) {
    for (std::int64_t p = 0; p < kColumns; ++p) {
      double sum = load_element(token_bias.data(), dtype, g);
      for (std::int64_t k = 0; k < kHidden; ++k) {
        const std::int64_t row = g * kHidden + k;
        const double h = static_cast<double>(load_element(hidden.data(), dtype, row * kStride + p)) +
                         load_element(bias.data(), dtype, row);
        sum += load_element(scale.data(), dtype, row) * exact_gelu(h);
      }
      expected.push_back(sum);
      got.push_back(attention[static_cast<std::size_t>(g * kMapStride + p)]);
    }
    // It does not write beyond the columns.
    CHECK(std::isnan(attention[static_cast<std::size_t>(g * kMapStride + kColumns)]));
  }
  CHECK(relative_error(got, expected) <= most);
}

void check_token_product(std::int64_t pixels, Layout layout) {
  const Problem problem({2, 37, 3, 9, 1, pixels}, DType::float32, layout, 8);
  ForwardParams params = problem.params();
  std::vector<float> attention(problem.attention().begin(), problem.attention().end());
  // Tokens first: (B, G, C).
  params.tokens_channel_stride = 1;
  params.tokens_token_stride = 37;
  std::vector<float> tokens(problem.tokens().size(), NAN);
  params.x = problem.x().data();
  params.attention = attention.data();
  params.tokens = tokens.data();
  std::vector<float> workspace(token_product_workspace_bytes(problem.shape()) / sizeof(float), NAN);
  const Status status =
      cuda_token_product(params, 37, 9, workspace.data(), workspace.size() * sizeof(float), nullptr);
  CHECK(status == Status::ok);
  std::vector<double> got;
  for (std::size_t b = 0; b < 2; ++b) {
    for (std::size_t c = 0; c < 37; ++c) {
      for (std::size_t g = 0; g < 9; ++g) got.push_back(tokens[(b * 9 + g) * 37 + c]);
    }
  }
  CHECK(relative_error(got, problem.tokens()) <= 2.5e-7);
}

/** float32: 4 channels, 8 hidden rows, 2 tokens, 5 pixels. */
Problem tiny_problem() { return Problem({1, 4, 8, 2, 1, 5}, DType::float32, Layout::channels_first, 1); }

TEST_SUITE("cuda/epilogue") {
  // Twice the relative L2 errors of gelu.hpp's table over N(0, 1), and 2.5e-7 at least.
  TEST_CASE("float32: epilogue") { check_epilogue(DType::float32, Precision::float32, 2.5e-7); }
  TEST_CASE("tf32: epilogue") { check_epilogue(DType::float32, Precision::tf32, 2.5e-7); }
  TEST_CASE("float16: epilogue") { check_epilogue(DType::float16, Precision::float16, 1.4e-5); }
  TEST_CASE("bfloat16: epilogue") { check_epilogue(DType::bfloat16, Precision::bfloat16, 1.2e-4); }

  TEST_CASE("token product: one pixel") { check_token_product(1, Layout::channels_first); }
  TEST_CASE("token product: several segments") { check_token_product(1134, Layout::channels_first); }
  TEST_CASE("token product: channels last") { check_token_product(1025, Layout::channels_last); }

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

  TEST_CASE("forward refuses mixed precisions, null pointers and float64, and takes a batch of 0") {
    const Problem problem = tiny_problem();
    CudaPackedWeights packed;
    packed.precision = Precision::tf32;
    packed.channels = 4;
    packed.hidden = 8;
    packed.tokens = 2;
    ForwardParams params = problem.params();
    Plan plan;
    const auto forward = [&] { return cuda_fused_forward(params, packed, plan, nullptr, 0, nullptr); };
    plan.precision = Precision::float32;
    CHECK(forward() == Status::invalid_argument);
    // The precisions agree now; the pointers are still null.
    plan.precision = Precision::tf32;
    CHECK(forward() == Status::invalid_argument);
    params.dtype = DType::float64;
    CHECK(forward() == Status::unsupported);
    params.dtype = DType::float32;
    params.batch = 0;
    CHECK(forward() == Status::ok);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
