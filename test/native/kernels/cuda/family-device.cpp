#include "family-device.hpp"

#include <cmath>

#include "kernels/cuda/exponential.hpp"
#include "kernels/cuda/tiling.hpp"
#include "pytorch-arithmetic.hpp"
#include "stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

using ::test::RawResult;
using ::test::Result;
using ::test::V11Case;
using ::test::V11Problem;

std::size_t bytes_of(std::int64_t count, DType dtype) {
  return static_cast<std::size_t>(count) * item_size(dtype);
}

/** The least that twice PyTorch's error is taken as: one rounding of the result, or of the operands in tf32. */
double floor_of(Precision precision) {
  switch (precision) {
    case Precision::float32:
      return 2.5e-7;
    case Precision::tf32:
      return 1e-3;
    case Precision::bfloat16:
      return 0x1p-8;
    case Precision::float16:
      return 0x1p-11;
  }
  return 0;
}

float rounded(Precision precision, double value) { return round_as(precision, static_cast<float>(value)); }

}  // namespace

std::vector<unsigned char> FamilyDevice::content(const DeviceMemory& memory, std::size_t bytes) const {
  CHECK(memory.damage(stream) == "");
  std::vector<unsigned char> result(bytes);
  memory.read(result.data(), bytes, stream);
  return result;
}

void Uploads::upload(const void*& pointer, std::int64_t count) {
  if (pointer == nullptr) return;
  const auto* first = static_cast<const std::uint8_t*>(pointer);
  parts_.push_back(std::make_unique<DeviceMemory>(
      std::vector<std::uint8_t>(first, first + bytes_of(count, dtype_)), device_.fill, device_.stream));
  pointer = parts_.back()->get();
}

void Uploads::upload(NormMlpView& view) {
  upload(view.norm_weight, view.channels);
  upload(view.norm_bias, view.channels);
  upload(view.first_weight, view.hidden * view.channels);
  upload(view.first_bias, view.hidden);
  upload(view.second_weight, view.tokens * view.hidden);
  upload(view.second_bias, view.tokens);
}

FamilyWeights::FamilyWeights(const FamilyDevice& device, NormMlpView view, Precision precision)
    : buffer_(device.room(cuda_norm_mlp_bytes(view, precision))) {
  Uploads uploads(device, view.dtype);
  uploads.upload(view);
  require_ok(cuda_pack_norm_mlp(view, precision, buffer_.get(), cuda_norm_mlp_bytes(view, precision),
                                &packed_, device.stream),
             "cuda_pack_norm_mlp");
  // The parameters are freed.
  require_ok(synchronize_stream(device.stream), "synchronize_stream");
  CHECK(buffer_.damage(device.stream) == "");
}

std::vector<float> pytorch_norm(const std::vector<float>& row, const void* weight, const void* bias,
                                DType dtype, Precision precision) {
  const auto channels = static_cast<std::int64_t>(row.size());
  const auto count = static_cast<float>(row.size());
  const float mean =
      sum_of(channels, [&](std::int64_t c) { return row[static_cast<std::size_t>(c)]; }) / count;
  const float variance = sum_of(channels,
                                [&](std::int64_t c) {
                                  const float d = row[static_cast<std::size_t>(c)] - mean;
                                  return d * d;
                                }) /
                         count;
  const float scale = 1.0f / std::sqrt(variance + 1e-6f);
  std::vector<float> n;
  for (std::int64_t c = 0; c < channels; ++c) {
    const float centred = (row[static_cast<std::size_t>(c)] - mean) * scale;
    n.push_back(round_as(precision, centred * load_element(weight, dtype, c) + load_element(bias, dtype, c)));
  }
  return n;
}

std::vector<float> pytorch_logits(const V11Problem& problem, Precision precision, std::int64_t b,
                                  std::int64_t p) {
  const NormMlpView mlp = problem.view().mlp;
  const auto at = [&](const void* source, std::int64_t i) { return load_element(source, mlp.dtype, i); };
  std::vector<float> x;
  for (std::int64_t c = 0; c < mlp.channels; ++c) x.push_back(static_cast<float>(problem.x(b, c, p)));
  const std::vector<float> n =
      operands(precision, pytorch_norm(x, mlp.norm_weight, mlp.norm_bias, mlp.dtype, precision));
  std::vector<float> hidden(static_cast<std::size_t>(mlp.hidden)),
      logits(static_cast<std::size_t>(mlp.tokens));
  for (std::int64_t d = 0; d < mlp.hidden; ++d) {
    const float h = sum_of(mlp.channels, [&](std::int64_t c) {
      return operand_of(precision, at(mlp.first_weight, d * mlp.channels + c)) *
             n[static_cast<std::size_t>(c)];
    });
    const float biased = round_as(precision, h + at(mlp.first_bias, d));
    hidden[static_cast<std::size_t>(d)] =
        operand_of(precision, rounded(precision, ::test::activate(mlp.activation, biased)));
  }
  for (std::int64_t g = 0; g < mlp.tokens; ++g) {
    const float l = sum_of(mlp.hidden, [&](std::int64_t d) {
      return operand_of(precision, at(mlp.second_weight, g * mlp.hidden + d)) *
             hidden[static_cast<std::size_t>(d)];
    });
    logits[static_cast<std::size_t>(g)] = round_as(precision, l + at(mlp.second_bias, g));
  }
  return logits;
}

void check_errors(const Result& ours, const Result& theirs, const Result& exact, Precision precision) {
  const auto check = [&](const std::vector<double>& got, const std::vector<double>& pytorch,
                         const std::vector<double>& expected) {
    const double bound = std::max(2 * ::test::relative_error(pytorch, expected), floor_of(precision));
    // Written so that NaN fails.
    CHECK(::test::relative_error(got, expected) <= bound);
  };
  check(ours.tokens, theirs.tokens, exact.tokens);
  if (!ours.attention.empty()) check(ours.attention, theirs.attention, exact.attention);
}

RawResult run_v11(const FamilyDevice& device, const V11Problem& problem, Precision precision,
                  const FamilyRun& how) {
  const DType dtype = element_dtype(precision);
  const V11Case& config = problem.config();
  const FamilyWeights weights(device, problem.view().mlp, precision);
  NormPlan plan =
      plan_v11(weights.shape(config.batch, config.height * config.width), precision, device.properties);
  plan.resident = plan.resident && how.resident;
  if (how.images_per_pass > 0) plan.images_per_pass = how.images_per_pass;
  const auto& x = problem.images().params(nullptr, nullptr);
  const DeviceMemory images = device.upload(x.x, bytes_of(config.batch * x.x_batch_stride, dtype));
  const std::size_t token_bytes = problem.token_count() * item_size(dtype);
  const std::size_t map_bytes = how.with_maps ? problem.attention_count() * sizeof(float) : 0;
  const DeviceMemory tokens = device.room(token_bytes), maps = device.room(map_bytes),
                     workspace = device.room(plan.workspace_bytes);
  ForwardParams params =
      problem.images().params(tokens.get(), how.with_maps ? maps.get() : nullptr, how.tokens_first);
  params.x = images.get();
  require_ok(
      cuda_v11_forward(params, weights.packed(), plan, workspace.get(), plan.workspace_bytes, device.stream),
      "cuda_v11_forward");
  RawResult raw;
  raw.tokens = device.content(tokens, token_bytes);
  raw.attention = device.content(maps, map_bytes);
  CHECK(workspace.damage(device.stream) == "");
  return raw;
}

Result decoded(const V11Problem& problem, Precision precision, const RawResult& raw) {
  return {::test::decode(raw.tokens, element_dtype(precision), problem.token_count()),
          ::test::decode(raw.attention, DType::float32, raw.attention.size() / sizeof(float))};
}

Result pytorch_v11(const V11Problem& problem, Precision precision) {
  const V11Case& config = problem.config();
  const std::int64_t pixels = config.height * config.width;
  Result result{std::vector<double>(problem.token_count()), {}};
  for (std::int64_t b = 0; b < config.batch; ++b) {
    std::vector<std::vector<float>> logits;
    for (std::int64_t p = 0; p < pixels; ++p) logits.push_back(pytorch_logits(problem, precision, b, p));
    for (std::int64_t g = 0; g < config.tokens; ++g) {
      const auto token = static_cast<std::size_t>(g);
      float largest = -INFINITY;
      for (const auto& row : logits) largest = std::max(largest, row[token]);
      const auto weight = [&](std::int64_t p) {
        return std::exp(logits[static_cast<std::size_t>(p)][token] - largest);
      };
      const float sum = sum_of(pixels, weight);
      std::vector<float> map;
      for (std::int64_t p = 0; p < pixels; ++p) map.push_back(round_as(precision, weight(p) / sum));
      result.attention.insert(result.attention.end(), map.begin(), map.end());
      for (std::int64_t c = 0; c < config.channels; ++c) {
        const float y = sum_of(pixels, [&](std::int64_t p) {
          return operand_of(precision, map[static_cast<std::size_t>(p)]) *
                 operand_of(precision, static_cast<float>(problem.x(b, c, p)));
        });
        result.tokens[static_cast<std::size_t>((b * config.channels + c) * config.tokens + g)] =
            round_as(precision, y);
      }
    }
  }
  return result;
}

void check_v11(const FamilyDevice& device, const V11Case& config, Precision precision) {
  INFO("v1.1 ", name_of(precision), " B ", config.batch, " C ", config.channels, " D ", config.hidden, " G ",
       config.tokens, " ", config.height, "x", config.width);
  const V11Problem problem(config, element_dtype(precision));
  const RawResult raw = run_v11(device, problem, precision);
  check_errors(decoded(problem, precision, raw), pytorch_v11(problem, precision), problem.reference(),
               precision);
  // Neither where the pixels are, nor passes, nor maps change a bit.
  ::test::check_same(raw, run_v11(device, problem, precision, {.resident = false}));
  ::test::check_same(raw, run_v11(device, problem, precision, {.images_per_pass = 1}));
  const RawResult alone = run_v11(device, problem, precision, {.with_maps = false});
  CHECK((raw.tokens == alone.tokens));
}

}  // namespace tokenlearner::kernels::cuda::test
