#include "v10-device.hpp"

#include <cmath>

#include "kernels/cuda/tiling.hpp"
#include "pytorch-arithmetic.hpp"
#include "stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

using ::test::RawResult;
using ::test::Result;
using ::test::V10Problem;
using ::test::V11Case;

constexpr std::int64_t kTaps = 9;

/** (G, C, 3, 3) as (9, G, C): see cuda_pack_token_learner_v10(). */
std::vector<std::uint8_t> tap_rows(const TokenLearnerV10View& view) {
  const std::size_t item = item_size(view.dtype);
  const auto* from = static_cast<const std::uint8_t*>(view.convolutions[0]);
  std::vector<std::uint8_t> rows;
  for (std::int64_t tap = 0; tap < kTaps; ++tap) {
    for (std::int64_t i = 0; i < view.tokens * view.channels; ++i) {
      const auto* at = from + static_cast<std::size_t>(i * kTaps + tap) * item;
      rows.insert(rows.end(), at, at + item);
    }
  }
  return rows;
}

class V10Weights {
 public:
  V10Weights(const FamilyDevice& device, TokenLearnerV10View view, Precision precision)
      : buffer_(device.room(cuda_token_learner_v10_bytes(view, precision))) {
    const std::vector<std::uint8_t> rows = tap_rows(view);
    view.convolutions[0] = rows.data();
    Uploads uploads(device, view.dtype);
    uploads.upload(view.norm_weight, view.channels);
    uploads.upload(view.norm_bias, view.channels);
    for (int i = 0; i < 4; ++i)
      uploads.upload(view.convolutions[i], kTaps * view.tokens * (i == 0 ? view.channels : view.tokens));
    require_ok(
        cuda_pack_token_learner_v10(view, precision, buffer_.get(),
                                    cuda_token_learner_v10_bytes(view, precision), &packed_, device.stream),
        "cuda_pack_token_learner_v10");
    // The parameters are freed.
    require_ok(synchronize_stream(device.stream), "synchronize_stream");
    CHECK(buffer_.damage(device.stream) == "");
  }
  const CudaTokenLearnerV10& packed() const { return packed_; }

 private:
  DeviceMemory buffer_;
  CudaTokenLearnerV10 packed_;
};

/** A 3x3 convolution of planes [channel][P] with PyTorch's roundings, and what follows it. */
std::vector<std::vector<float>> pytorch_convolved(const V10Problem& problem, Precision precision, int i,
                                                  const std::vector<std::vector<float>>& in) {
  const V11Case& config = problem.config();
  const TokenLearnerV10View view = problem.view();
  const auto inputs = static_cast<std::int64_t>(in.size());
  std::vector<std::vector<float>> out;
  for (std::int64_t g = 0; g < config.tokens; ++g) {
    out.emplace_back();
    for (std::int64_t p = 0; p < config.height * config.width; ++p) {
      const float sum = sum_of(inputs * kTaps, [&](std::int64_t k) {
        const std::int64_t y = p / config.width + k % kTaps / 3 - 1, x = p % config.width + k % 3 - 1;
        if (y < 0 || y >= config.height || x < 0 || x >= config.width) return 0.0f;
        return operand_of(precision, load_element(view.convolutions[i], view.dtype, g * inputs * kTaps + k)) *
               operand_of(
                   precision,
                   in[static_cast<std::size_t>(k / kTaps)][static_cast<std::size_t>(y * config.width + x)]);
      });
      const float stored = round_as(precision, sum);
      out.back().push_back(
          round_as(precision, i == 3 ? 1.0f / (1.0f + std::exp(-stored))
                                     : static_cast<float>(::test::activate(config.activation, stored))));
    }
  }
  return out;
}

/** The answer of PyTorch's own arithmetic at this precision. */
Result pytorch_v10(const V10Problem& problem, Precision precision) {
  const V11Case& config = problem.config();
  const TokenLearnerV10View view = problem.view();
  const std::int64_t pixels = config.height * config.width;
  Result result;
  for (std::int64_t b = 0; b < config.batch; ++b) {
    std::vector<std::vector<float>> planes(static_cast<std::size_t>(config.channels));
    for (std::int64_t p = 0; p < pixels; ++p) {
      std::vector<float> x;
      for (std::int64_t c = 0; c < config.channels; ++c)
        x.push_back(static_cast<float>(problem.images().x(b, c, p)));
      const std::vector<float> n = pytorch_norm(x, view.norm_weight, view.norm_bias, view.dtype, precision);
      for (std::size_t c = 0; c < n.size(); ++c) planes[c].push_back(n[c]);
    }
    for (int i = 0; i < 4; ++i) planes = pytorch_convolved(problem, precision, i, planes);
    for (std::int64_t c = 0; c < config.channels; ++c) {
      for (const std::vector<float>& map : planes) {
        const float y = sum_of(pixels, [&](std::int64_t p) {
          return operand_of(precision, map[static_cast<std::size_t>(p)]) *
                 operand_of(precision, static_cast<float>(problem.images().x(b, c, p)));
        });
        const float stored = round_as(precision, y);
        result.tokens.push_back(view.takes_mean ? round_as(precision, stored / static_cast<float>(pixels))
                                                : stored);
      }
    }
    for (const std::vector<float>& map : planes)
      result.attention.insert(result.attention.end(), map.begin(), map.end());
  }
  return result;
}

}  // namespace

RawResult run_v10(const FamilyDevice& device, const V10Problem& problem, Precision precision,
                  const FamilyRun& how) {
  const V11Case& config = problem.config();
  const DType dtype = element_dtype(precision);
  const V10Weights weights(device, problem.view(), precision);
  NormPlan plan = plan_v10({config.batch, config.channels, 0, config.tokens, config.height * config.width},
                           precision, device.properties);
  plan.resident = plan.resident && how.resident;
  if (how.images_per_pass > 0) plan.images_per_pass = how.images_per_pass;
  const ForwardParams source = problem.images().images().params(nullptr, nullptr);
  const DeviceMemory images = device.upload(
      source.x, static_cast<std::size_t>(config.batch * source.x_batch_stride) * item_size(dtype));
  const std::size_t token_bytes = problem.images().token_count() * item_size(dtype);
  const std::size_t map_bytes = how.with_maps ? problem.images().attention_count() * sizeof(float) : 0;
  const DeviceMemory tokens = device.room(token_bytes), maps = device.room(map_bytes),
                     workspace = device.room(plan.workspace_bytes);
  ForwardParams params =
      problem.images().images().params(tokens.get(), how.with_maps ? maps.get() : nullptr, how.tokens_first);
  params.x = images.get();
  require_ok(
      cuda_v10_forward(params, weights.packed(), plan, workspace.get(), plan.workspace_bytes, device.stream),
      "cuda_v10_forward");
  RawResult raw;
  raw.tokens = device.content(tokens, token_bytes);
  raw.attention = device.content(maps, map_bytes);
  CHECK(workspace.damage(device.stream) == "");
  return raw;
}

void check_v10(const FamilyDevice& device, const V11Case& config, Precision precision, bool takes_mean) {
  INFO("v1.0 ", std::string(name_of(precision)), " B ", config.batch, " C ", config.channels, " G ",
       config.tokens, " ", config.height, "x", config.width, " mean ", takes_mean);
  const V10Problem problem(config, element_dtype(precision), takes_mean);
  const RawResult raw = run_v10(device, problem, precision);
  check_errors(decoded(problem.images(), precision, raw), pytorch_v10(problem, precision),
               problem.reference(), precision);
  // Neither where the pixels are, nor passes, nor maps change a bit.
  ::test::check_same(raw, run_v10(device, problem, precision, {.resident = false}));
  ::test::check_same(raw, run_v10(device, problem, precision, {.images_per_pass = 1}));
  const RawResult alone = run_v10(device, problem, precision, {.with_maps = false});
  CHECK((raw.tokens == alone.tokens));
}

}  // namespace tokenlearner::kernels::cuda::test
