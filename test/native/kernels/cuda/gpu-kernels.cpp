// Every kernel on the GPU against the oracle, over a table of sizes. Exits with 77, skipped, without a GPU.
//
//     cuda-gpu-kernels [quick] [doctest's options]
//
// `quick` runs four sizes of each kernel, for compute-sanitizer: `compute-sanitizer --tool
// memcheck|racecheck|initcheck|synccheck cuda-gpu-kernels quick`. `--success` prints the measured errors.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>

#include "device-memory.hpp"
#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/plan.hpp"
#include "problem.hpp"
#include "stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

constexpr int kSkipped = 77;

struct Result {
  std::vector<float> attention;
  std::vector<std::uint8_t> tokens;
};

/** Device 0 with a stream. */
class Gpu {
 public:
  Gpu() {
    DeviceDescription device;
    require_ok(describe_device(0, &device), "describe_device");
    properties_ = device.properties;
    require_ok(set_device(0), "set_device");
    require_ok(create_stream(&stream_), "create_stream");
  }
  ~Gpu() { destroy_stream(stream_); }
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  const DeviceProperties& properties() const { return properties_; }
  Result run(const Problem& problem, Precision precision, Variant variant, const Plan& plan) const;

 private:
  DeviceProperties properties_;
  void* stream_ = nullptr;
};

Result Gpu::run(const Problem& problem, Precision precision, Variant variant, const Plan& plan) const {
  ForwardParams params = problem.params();
  const DeviceMemory x(problem.x(), stream_);
  const DeviceMemory w1(problem.weight(0), stream_), b1(problem.weight(1), stream_);
  const DeviceMemory w2(problem.weight(2), stream_), b2(problem.weight(3), stream_);
  LayerView host_layers[2];
  WeightsView weights = problem.weights(host_layers);
  const LayerView layers[2] = {{w1.get(), b1.get()}, {w2.get(), b2.get()}};
  weights.layers = layers;

  const std::size_t packed_bytes = packed_weights_bytes(problem.shape(), precision, variant);
  const DeviceMemory packed_memory(packed_bytes);
  CudaPackedWeights packed;
  require_ok(
      cuda_pack_weights(weights, precision, variant, packed_memory.get(), packed_bytes, &packed, stream_),
      "cuda_pack_weights");

  Result result;
  result.attention.resize(problem.attention().size());
  result.tokens.resize(problem.tokens().size() * item_size(params.dtype));
  const DeviceMemory attention(result.attention.size() * sizeof(float));
  const DeviceMemory tokens(result.tokens.size());
  const DeviceMemory workspace(plan.workspace_bytes);
  attention.poison(result.attention.size() * sizeof(float), stream_);
  tokens.poison(result.tokens.size(), stream_);
  workspace.poison(plan.workspace_bytes, stream_);
  params.x = x.get();
  params.attention = attention.get();
  params.tokens = tokens.get();
  require_ok(cuda_fused_forward(params, packed, plan, workspace.get(), plan.workspace_bytes, stream_),
             "cuda_fused_forward");
  attention.read(result.attention.data(), result.attention.size() * sizeof(float), stream_);
  tokens.read(result.tokens.data(), result.tokens.size(), stream_);
  return result;
}

void check_case(const Gpu& gpu, const Size& size, Layout layout, Precision precision, Variant variant) {
  const Problem problem(size, dtype_of(precision), layout, 1);
  if (!can_run(variant, problem.shape(), precision, gpu.properties())) return;
  const Plan plan = plan_forward(problem.shape(), precision, variant, gpu.properties());
  const Result result = gpu.run(problem, precision, variant, plan);
  std::vector<double> attention(result.attention.begin(), result.attention.end());
  std::vector<double> tokens;
  for (std::size_t i = 0; i < problem.tokens().size(); ++i) {
    tokens.push_back(load_element(result.tokens.data(), dtype_of(precision), static_cast<std::int64_t>(i)));
  }
  const Problem::Errors pytorch = problem.pytorch_errors(precision);
  const double attention_error = relative_error(attention, problem.attention());
  const double tokens_error = relative_error(tokens, problem.tokens());
  INFO("B ", size.batch, " C ", size.channels, " K ", size.hidden, " G ", size.tokens, " P ", size.pixels(),
       " splits ", plan.splits);
  // Written so that NaN fails.
  CHECK(attention_error <= allowed_error(precision, pytorch.attention));
  CHECK(tokens_error <= allowed_error(precision, pytorch.tokens));

  // One image per pass gives the same bits.
  Plan alone = plan;
  alone.images_per_pass = 1;
  const Result again = gpu.run(problem, precision, variant, alone);
  const bool same_attention = again.attention == result.attention;
  const bool same_tokens = again.tokens == result.tokens;
  CHECK(same_attention);
  CHECK(same_tokens);
}

void check_quick_sizes(const Gpu& gpu, Precision precision, Variant variant) {
  constexpr Size kSizes[] = {
      {32, 1, 2, 1, 1, 1}, {2, 24, 48, 5, 3, 43}, {3, 129, 258, 5, 7, 7}, {1, 384, 512, 2, 9, 15}};
  for (const Size& size : kSizes) check_case(gpu, size, Layout::cropped, precision, variant);
}

void check_all_sizes(const Gpu& gpu, Precision precision, Variant variant) {
  for (const Layout layout : {Layout::channels_first, Layout::channels_last}) {
    for (const std::int64_t channels : {1, 3, 24, 129}) {
      for (const std::int64_t tokens : {1, 5, 16}) {
        for (const std::int64_t pixels : {1, 7, 129, 1134}) {
          // The error of a single number is a matter of luck: many images where there are few pixels.
          const std::int64_t batch = pixels < 10 ? 32 : 2;
          check_case(gpu, {batch, channels, 2 * channels, tokens, 1, pixels}, layout, precision, variant);
        }
      }
    }
  }
}

/** Each variant in each precision as a subcase. */
void for_each_kernel(const std::function<void(const Gpu&, Precision, Variant)>& check) {
  const Gpu gpu;
  for (const Precision precision :
       {Precision::float32, Precision::tf32, Precision::bfloat16, Precision::float16}) {
    for (const Variant variant : {Variant::simt, Variant::small, Variant::mma, Variant::wgmma}) {
      const std::string name = std::string(name_of(variant)) + " " + name_of(precision);
      SUBCASE(name.c_str()) {
        try {
          check(gpu, precision, variant);
        } catch (const std::runtime_error& error) {
          // CUDA refused a call. The other kernels still run.
          FAIL_CHECK(std::string(error.what()));
        }
      }
    }
  }
}

TEST_SUITE("cuda/gpu-kernels/quick") {
  TEST_CASE("a few sizes, cropped images") { for_each_kernel(check_quick_sizes); }
}

TEST_SUITE("cuda/gpu-kernels/full") {
  TEST_CASE("all sizes, channels first and last") { for_each_kernel(check_all_sizes); }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test

int main(int argc, char** argv) {
  using namespace tokenlearner::kernels::cuda;
  const Probe probed = probe();
  if (probed.availability != Availability::available) {
    std::printf("SKIPPED: no GPU: %s (%s)\n", name_of(probed.availability), probed.error_text);
    return test::kSkipped;
  }
  doctest::Context context(argc, argv);
  if (argc > 1 && std::strcmp(argv[1], "quick") == 0) {
    context.setOption("test-suite", "cuda/gpu-kernels/quick");
  }
  return context.run();
}
