// The documented computation in parts against the whole, with libtorch on the CPU.
#include "engine/token-learner/documented.hpp"

#include <doctest.h>

#include <cmath>
#include <limits>

#include "../random-tensor.hpp"
#include "engine/torch/aten.hpp"
#include "engine/torch/library.hpp"

using namespace tokenlearner;
using kernels::cuda::Answer;
using kernels::cuda::Verification;
using kernels::cuda::WeightSlice;
using test::random_tensor;

namespace {

constexpr int64_t kChannels = 5, kTokens = 3, kHidden = 10, kHeight = 7, kWidth = 4;

TokenLearnerConfig layer() {
  TokenLearnerConfig config;
  config.dim = kChannels;
  config.ff_mult = kHidden / kChannels;
  config.num_output_tokens = kTokens;
  return config;
}

std::vector<Tensor> random_parameters(DType dtype) {
  load_torch(TOKENLEARNER_TORCH_LIB);
  return {random_tensor({kTokens * kHidden, kChannels, 1, 1}, dtype),
          random_tensor({kTokens * kHidden}, dtype), random_tensor({kTokens, kHidden, 1, 1}, dtype),
          random_tensor({kTokens}, dtype)};
}

Verification parts(std::vector<WeightSlice> slices, int64_t image_rows) {
  Verification how;
  how.batch = 3;
  how.height = kHeight;
  how.width = kWidth;
  how.slices = std::move(slices);
  how.image_rows = image_rows;
  return how;
}

Tensor images(DType dtype) { return random_tensor({3, kChannels, kHeight, kWidth}, dtype); }

Answer whole(const std::vector<Tensor>& parameters, const Tensor& x) {
  const ForwardOptions with_maps{.return_attention = true, .tokens_first = false, .call = nullptr};
  return answer_of(make_grouped_conv_engine(layer(), parameters)->run(x, with_maps));
}

const Verification kParts[] = {
    parts({{0, 3, 0, kHidden}}, kHeight),
    parts({{0, 2, 0, kHidden}, {2, 1, 0, kHidden}}, 3),
    parts({{0, 1, 0, 4}, {0, 1, 4, 4}, {0, 1, 8, 2}, {1, 1, 0, 9}, {1, 1, 9, 1}, {2, 1, 0, kHidden}}, 2),
};

}  // namespace

TEST_SUITE_BEGIN("engine/documented");

TEST_CASE("float32: the parts add up to the whole") {
  const std::vector<Tensor> parameters = random_parameters(DType::float32);
  const Tensor x = images(DType::float32);
  const Answer expected = whole(parameters, x);
  for (const Verification& how : kParts) {
    CAPTURE(how.slices.size());
    const Answer answer = documented_answer(layer(), parameters, x, DType::float32, how);
    REQUIRE(answer.maps.size() == expected.maps.size());
    REQUIRE(answer.tokens.size() == expected.tokens.size());
    for (std::size_t i = 0; i < expected.maps.size(); ++i)
      CHECK(answer.maps[i] == doctest::Approx(expected.maps[i]).epsilon(1e-5));
    for (std::size_t i = 0; i < expected.tokens.size(); ++i)
      CHECK(answer.tokens[i] == doctest::Approx(expected.tokens[i]).epsilon(1e-5));
  }
}

TEST_CASE("16-bit parameters: computed in float32, and the tokens are rounded to 16 bits") {
  const std::vector<Tensor> parameters = random_parameters(DType::bfloat16);
  const Tensor x = images(DType::bfloat16);
  std::vector<Tensor> wide;
  for (const Tensor& parameter : parameters)
    wide.push_back(aten::to_copy(parameter, DType::float32, Device::cpu()));
  const Answer expected = whole(wide, aten::to_copy(x, DType::float32, Device::cpu()));
  for (const Verification& how : kParts) {
    CAPTURE(how.slices.size());
    const Answer answer = documented_answer(layer(), parameters, x, DType::float32, how);
    for (std::size_t i = 0; i < expected.maps.size(); ++i)
      CHECK(answer.maps[i] == doctest::Approx(expected.maps[i]).epsilon(1e-5));
    for (std::size_t i = 0; i < expected.tokens.size(); ++i) {
      CHECK(answer.tokens[i] == doctest::Approx(expected.tokens[i]).epsilon(0x1p-8));
      CHECK(kernels::widen(kernels::narrow<kernels::BFloat16>(answer.tokens[i])) == answer.tokens[i]);
    }
  }
}

TEST_CASE("a NaN in the bias of one token stays in that token") {
  const std::vector<Tensor> parameters = random_parameters(DType::float32);
  reinterpret_cast<float*>(parameters[3].data())[1] = std::numeric_limits<float>::quiet_NaN();
  const Answer answer =
      documented_answer(layer(), parameters, images(DType::float32), DType::float32, kParts[2]);
  for (std::size_t i = 0; i < answer.tokens.size(); ++i)
    CHECK(std::isnan(answer.tokens[i]) == (i % kTokens == 1));
}

TEST_SUITE_END();
