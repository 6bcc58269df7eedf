#include "fuser-device.hpp"

#include <cmath>

#include "kernels/cuda/tiling.hpp"
#include "pytorch-arithmetic.hpp"
#include "stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

using ::test::FuserProblem;
using ::test::RawResult;
using ::test::Result;
using ::test::V11Case;

class FuserWeights {
 public:
  FuserWeights(const FamilyDevice& device, TokenFuserView view, Precision precision)
      : buffer_(device.room(cuda_token_fuser_bytes(view, precision))) {
    const std::int64_t channels = view.mlp.channels, tokens = view.mlp.tokens;
    Uploads uploads(device, view.mlp.dtype);
    uploads.upload(view.mlp);
    uploads.upload(view.mix_weight, tokens * tokens);
    uploads.upload(view.mix_bias, tokens);
    for (const void** norm : {&view.norm1_weight, &view.norm1_bias, &view.norm2_weight, &view.norm2_bias})
      uploads.upload(*norm, channels);
    require_ok(cuda_pack_token_fuser(view, precision, buffer_.get(), cuda_token_fuser_bytes(view, precision),
                                     &packed_, device.stream),
               "cuda_pack_token_fuser");
    // The parameters are freed.
    require_ok(synchronize_stream(device.stream), "synchronize_stream");
    CHECK(buffer_.damage(device.stream) == "");
  }
  const CudaTokenFuser& packed() const { return packed_; }

 private:
  DeviceMemory buffer_;
  CudaTokenFuser packed_;
};

/** T of an image, (G, C), with PyTorch's roundings. */
std::vector<std::vector<float>> pytorch_mixed(const FuserProblem& problem, Precision precision,
                                              std::int64_t b) {
  const TokenFuserView view = problem.view();
  const DType dtype = view.mlp.dtype;
  const TokenFuserParams params = problem.params(nullptr, nullptr, false);
  std::vector<std::vector<float>> normed, mixed;
  for (std::int64_t g = 0; g < view.mlp.tokens; ++g) {
    std::vector<float> row;
    for (std::int64_t c = 0; c < view.mlp.channels; ++c) {
      row.push_back(load_element(params.tokens, dtype,
                                 b * params.tokens_batch_stride + c * params.tokens_channel_stride +
                                     g * params.tokens_token_stride));
    }
    if (view.norm1_weight != nullptr)
      row = pytorch_norm(row, view.norm1_weight, view.norm1_bias, dtype, precision);
    normed.push_back(operands(precision, row));
  }
  for (std::int64_t h = 0; h < view.mlp.tokens; ++h) {
    std::vector<float> row;
    for (std::size_t c = 0; c < normed[0].size(); ++c) {
      const float sum = sum_of(view.mlp.tokens, [&](std::int64_t g) {
        return operand_of(precision, load_element(view.mix_weight, dtype, h * view.mlp.tokens + g)) *
               normed[static_cast<std::size_t>(g)][c];
      });
      row.push_back(round_as(precision, sum + load_element(view.mix_bias, dtype, h)));
    }
    if (view.norm2_weight != nullptr)
      row = pytorch_norm(row, view.norm2_weight, view.norm2_bias, dtype, precision);
    mixed.push_back(operands(precision, row));
  }
  return mixed;
}

/** The answer of PyTorch's own arithmetic at this precision: the output (B, C, P), and the weights. */
Result pytorch_fuser(const FuserProblem& problem, Precision precision) {
  const V11Case& config = problem.config();
  const std::int64_t pixels = config.height * config.width;
  Result result;
  for (std::int64_t b = 0; b < config.batch; ++b) {
    const std::vector<std::vector<float>> mixed = pytorch_mixed(problem, precision, b);
    std::vector<std::vector<float>> weights;
    for (std::int64_t p = 0; p < pixels; ++p) {
      weights.push_back(pytorch_logits(problem.original(), precision, b, p));
      for (float& value : weights.back()) value = round_as(precision, 1.0f / (1.0f + std::exp(-value)));
    }
    for (std::size_t c = 0; c < mixed[0].size(); ++c) {
      for (const std::vector<float>& own : weights) {
        const float y = sum_of(config.tokens, [&](std::int64_t g) {
          return operand_of(precision, own[static_cast<std::size_t>(g)]) *
                 mixed[static_cast<std::size_t>(g)][c];
        });
        result.tokens.push_back(round_as(precision, y));
      }
    }
    for (std::size_t g = 0; g < mixed.size(); ++g) {
      for (const std::vector<float>& own : weights) result.attention.push_back(own[g]);
    }
  }
  return result;
}

Result decoded(const FuserProblem& problem, const RawResult& raw) {
  return {::test::decode(raw.tokens, problem.dtype(), problem.output_count()),
          ::test::decode(raw.attention, DType::float32, raw.attention.size() / sizeof(float))};
}

/** (B, P, C) as (B, C, P). */
std::vector<unsigned char> channels_first(const FuserProblem& problem,
                                          const std::vector<unsigned char>& from) {
  const V11Case& config = problem.config();
  const std::size_t item = item_size(problem.dtype());
  const auto channels = static_cast<std::size_t>(config.channels),
             pixels = static_cast<std::size_t>(config.height * config.width);
  std::vector<unsigned char> to(from.size());
  for (std::size_t i = 0; i < problem.output_count(); ++i) {
    const std::size_t p = i % pixels, c = i / pixels % channels, b = i / pixels / channels;
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(((b * pixels + p) * channels + c) * item), item,
                to.begin() + static_cast<std::ptrdiff_t>(i * item));
  }
  return to;
}

}  // namespace

RawResult run_fuser(const FamilyDevice& device, const FuserProblem& problem, Precision precision,
                    const FamilyRun& how) {
  const V11Case& config = problem.config();
  const FuserWeights weights(device, problem.view(), precision);
  const CudaNormMlp& mlp = weights.packed().mlp;
  NormPlan plan =
      plan_token_fuser({config.batch, mlp.channels, mlp.hidden, mlp.tokens, config.height * config.width},
                       precision, device.properties);
  plan.resident = plan.resident && how.resident;
  if (how.images_per_pass > 0) plan.images_per_pass = how.images_per_pass;
  TokenFuserParams params = problem.params(nullptr, nullptr, how.tokens_first);
  const std::size_t item = item_size(params.dtype);
  const DeviceMemory images =
      device.upload(params.x, static_cast<std::size_t>(config.batch * params.x_batch_stride) * item);
  const DeviceMemory tokens = device.upload(
      params.tokens, static_cast<std::size_t>(config.batch * params.tokens_batch_stride) * item);
  const std::size_t output_bytes = problem.output_count() * item;
  const std::size_t map_bytes = how.with_maps ? problem.attention_count() * sizeof(float) : 0;
  const DeviceMemory output = device.room(output_bytes), maps = device.room(map_bytes),
                     workspace = device.room(plan.workspace_bytes);
  params.x = images.get();
  params.tokens = tokens.get();
  params.out = output.get();
  if (how.with_maps) params.attention = maps.get();
  require_ok(cuda_token_fuser_forward(params, weights.packed(), plan, workspace.get(), plan.workspace_bytes,
                                      device.stream),
             "cuda_token_fuser_forward");
  RawResult raw;
  raw.tokens = device.content(output, output_bytes);
  raw.attention = device.content(maps, map_bytes);
  CHECK(workspace.damage(device.stream) == "");
  return raw;
}

void check_fuser(const FamilyDevice& device, const V11Case& config, Precision precision, bool has_norms) {
  INFO("fuser ", std::string(name_of(precision)), " B ", config.batch, " C ", config.channels, " D ",
       config.hidden, " G ", config.tokens, " ", config.height, "x", config.width, " norms ", has_norms);
  const FuserProblem problem(config, element_dtype(precision), has_norms);
  const RawResult raw = run_fuser(device, problem, precision);
  check_errors(decoded(problem, raw), pytorch_fuser(problem, precision), problem.reference(), precision);
  // Neither where the pixels are, nor passes, nor maps, nor the order of the output change a bit.
  ::test::check_same(raw, run_fuser(device, problem, precision, {.resident = false}));
  ::test::check_same(raw, run_fuser(device, problem, precision, {.images_per_pass = 1}));
  const RawResult last = run_fuser(device, problem, precision, {.with_maps = false, .tokens_first = true});
  CHECK((raw.tokens == channels_first(problem, last.tokens)));
}

}  // namespace tokenlearner::kernels::cuda::test
