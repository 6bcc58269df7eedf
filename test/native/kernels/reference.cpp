// The oracle against numbers worked out by hand.
#include "support.hpp"

namespace {

using namespace test;

void check(double actual, double expected, const char* what) {
  CHECK(std::fabs(actual - expected) <= 1e-12, "%s: %.15g, expected %.15g", what, actual, expected);
}

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

/** C = 1, P = 2, G = 1, K = 1: A = 3 gelu(x) + 1. */
void check_two_layers() {
  const double x[] = {1, 2}, one[] = {1}, zero[] = {0}, three[] = {3};
  const LayerView layers[] = {{one, zero}, {three, one}};
  double tokens, attention[2];
  const Status status =
      reference_forward(one_row(x, 2, &tokens, attention), {1, 1, 1, 2, DType::float64, layers});
  CHECK(status == Status::ok, "%s", name_of(status));
  check(attention[0], 3 * kGelu1 + 1, "A[0]");
  check(attention[1], 3 * kGelu2 + 1, "A[1]");
  check(tokens, (attention[0] + 2 * attention[1]) / 2, "y");
}

/** One layer is A = w x + b; three put gelu between: A = gelu(gelu(x) + c) with c such that its argument
 * is 2. */
void check_other_depths() {
  const double x[] = {1}, one[] = {1}, zero[] = {0}, five[] = {5}, shift[] = {2 - kGelu1};
  double tokens, attention;
  const LayerView shallow[] = {{five, one}};
  CHECK(reference_forward(one_row(x, 1, &tokens, &attention), {1, 0, 1, 1, DType::float64, shallow}) ==
            Status::ok,
        "1");
  check(attention, 6, "one layer");
  const LayerView deep[] = {{one, zero}, {one, shift}, {one, zero}};
  CHECK(
      reference_forward(one_row(x, 1, &tokens, &attention), {1, 1, 1, 3, DType::float64, deep}) == Status::ok,
      "3");
  check(attention, kGelu2, "three layers");
}

/** Group g owns rows [g*K, (g+1)*K) and its own w2 and b2. C = 2, K = 1, G = 2. */
void check_groups() {
  const double x[] = {1, 2}, w1[] = {1, 0, 0, 1}, b1[] = {0, 0}, w2[] = {1, 10}, b2[] = {0, 100};
  const LayerView layers[] = {{w1, b1}, {w2, b2}};
  double tokens[4], attention[2];
  ForwardParams params = one_row(x, 1, tokens, attention);
  params.tokens_channel_stride = 2;
  CHECK(reference_forward(params, {2, 1, 2, 2, DType::float64, layers}) == Status::ok, "groups");
  check(attention[0], kGelu1, "group 0 sees channel 0");
  check(attention[1], 10 * kGelu2 + 100, "group 1 sees channel 1");
  check(tokens[0 * 2 + 1], attention[1], "y[0, 1]");
  check(tokens[1 * 2 + 0], 2 * attention[0], "y[1, 0]");
}

}  // namespace

int main() {
  check_two_layers();
  check_other_depths();
  check_groups();
  return finish();
}
