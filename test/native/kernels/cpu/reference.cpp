// The oracle against numbers computed by hand.
#include "kernels/cpu/reference.hpp"

#include <doctest.h>

#include <cmath>
#include <cstdint>

#include "../stringify.hpp"

namespace {

using namespace tokenlearner::kernels;

ForwardParams one_row(const double* x, std::int64_t width, double* tokens, double* attention) {
  ForwardParams params;
  params.batch = 1, params.height = 1, params.width = width;
  params.dtype = DType::float64;
  params.x = x;
  params.x_channel_stride = params.x_row_stride = width;
  params.x_pixel_stride = 1;
  params.tokens = tokens;
  params.tokens_channel_stride = params.tokens_token_stride = 1;
  params.attention = attention;
  params.attention_token_stride = width;
  return params;
}

// gelu(1) and gelu(2) to 15 digits.
constexpr double kGelu1 = 0.841344746068543;
constexpr double kGelu2 = 1.954499736103642;

void check_equal(double actual, double expected) {
  CAPTURE(actual);
  CAPTURE(expected);
  CHECK(std::fabs(actual - expected) <= 1e-12);
}

}  // namespace

TEST_SUITE("kernels/reference") {
  TEST_CASE("two layers: A = 3 gelu(x) + 1") {
    const double x[] = {1, 2}, one[] = {1}, zero[] = {0}, three[] = {3};
    const LayerView layers[] = {{one, zero}, {three, one}};
    double tokens, attention[2];
    const ForwardParams params = one_row(x, 2, &tokens, attention);
    CHECK(reference_forward(params, {1, 1, 1, 2, DType::float64, layers}) == Status::ok);
    check_equal(attention[0], 3 * kGelu1 + 1);
    check_equal(attention[1], 3 * kGelu2 + 1);
    check_equal(tokens, (attention[0] + 2 * attention[1]) / 2);
  }

  TEST_CASE("one layer: A = w x + b") {
    const double x[] = {1}, one[] = {1}, five[] = {5};
    double tokens, attention;
    const LayerView layers[] = {{five, one}};
    const ForwardParams params = one_row(x, 1, &tokens, &attention);
    CHECK(reference_forward(params, {1, 0, 1, 1, DType::float64, layers}) == Status::ok);
    check_equal(attention, 6);
  }

  TEST_CASE("three layers: A = gelu(gelu(x) + c), with c such that the outer argument is 2") {
    const double x[] = {1}, one[] = {1}, zero[] = {0}, shift[] = {2 - kGelu1};
    double tokens, attention;
    const LayerView layers[] = {{one, zero}, {one, shift}, {one, zero}};
    const ForwardParams params = one_row(x, 1, &tokens, &attention);
    CHECK(reference_forward(params, {1, 1, 1, 3, DType::float64, layers}) == Status::ok);
    check_equal(attention, kGelu2);
  }

  TEST_CASE("group g owns rows g K to (g + 1) K and its own w2 and b2") {
    // C = 2, K = 1, G = 2: group 0 sees channel 0 alone, group 1 channel 1.
    const double x[] = {1, 2}, w1[] = {1, 0, 0, 1}, b1[] = {0, 0}, w2[] = {1, 10}, b2[] = {0, 100};
    const LayerView layers[] = {{w1, b1}, {w2, b2}};
    double tokens[4], attention[2];
    ForwardParams params = one_row(x, 1, tokens, attention);
    params.tokens_channel_stride = 2;
    CHECK(reference_forward(params, {2, 1, 2, 2, DType::float64, layers}) == Status::ok);
    check_equal(attention[0], kGelu1);
    check_equal(attention[1], 10 * kGelu2 + 100);
    check_equal(tokens[0 * 2 + 1], attention[1]);
    check_equal(tokens[1 * 2 + 0], 2 * attention[0]);
  }
}
