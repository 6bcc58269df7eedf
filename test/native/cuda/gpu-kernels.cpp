// Every kernel on the GPU against the oracle, over DESIGN's table of sizes. Exits with 77, skipped, without a
// GPU. Made for compute-sanitizer too: `compute-sanitizer --tool memcheck|racecheck|initcheck|synccheck
// cuda-gpu-kernels quick`.
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <string>

#include "device-memory.hpp"
#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/plan.hpp"
#include "problem.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

constexpr int kSkipped = 77;

struct Result {
  std::vector<float> attention;
  std::vector<std::uint8_t> tokens;
};

class Gpu {
 public:
  explicit Gpu(const DeviceProperties& properties) : properties_(properties) {
    CHECK(create_stream(&stream_) == Status::ok, "%s", last_error().text);
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
  Status status =
      cuda_pack_weights(weights, precision, variant, packed_memory.get(), packed_bytes, &packed, stream_);
  CHECK(status == Status::ok, "cuda_pack_weights: %s", last_error().text);

  Result result;
  result.attention.resize(problem.attention().size());
  result.tokens.resize(problem.tokens().size() * size_of(params.dtype));
  const DeviceMemory attention(result.attention.size() * sizeof(float));
  const DeviceMemory tokens(result.tokens.size());
  const DeviceMemory workspace(plan.workspace_bytes);
  attention.poison(result.attention.size() * sizeof(float), stream_);
  tokens.poison(result.tokens.size(), stream_);
  workspace.poison(plan.workspace_bytes, stream_);
  params.x = x.get();
  params.attention = attention.get();
  params.tokens = tokens.get();
  status = cuda_fused_forward(params, packed, plan, workspace.get(), plan.workspace_bytes, stream_);
  CHECK(status == Status::ok, "cuda_fused_forward: %s: %s", name_of(status), last_error().text);
  attention.read(result.attention.data(), result.attention.size() * sizeof(float), stream_);
  tokens.read(result.tokens.data(), result.tokens.size(), stream_);
  return result;
}

DType dtype_of(Precision precision) {
  return precision == Precision::bfloat16  ? DType::bfloat16
         : precision == Precision::float16 ? DType::float16
                                           : DType::float32;
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
  std::printf(
      "%-5s %-8s B%lld C%lld K%lld G%lld P%lld splits %d: maps %.1e (PyTorch %.1e) tokens %.1e (%.1e)\n",
      name_of(variant), name_of(precision), static_cast<long long>(size.batch),
      static_cast<long long>(size.channels), static_cast<long long>(size.hidden),
      static_cast<long long>(size.tokens), static_cast<long long>(size.pixels()), plan.splits,
      attention_error, pytorch.attention, tokens_error, pytorch.tokens);
  // Written so that NaN fails.
  CHECK(attention_error <= allowed_error(precision, pytorch.attention), "maps");
  CHECK(tokens_error <= allowed_error(precision, pytorch.tokens), "tokens");

  Plan alone = plan;
  alone.images_per_pass = 1;
  const Result again = gpu.run(problem, precision, variant, alone);
  CHECK(again.attention == result.attention && again.tokens == result.tokens, "the batch changes bits");
}

void check_sizes(const Gpu& gpu, Precision precision, Variant variant, bool quick) {
  constexpr Size kQuick[] = {
      {32, 1, 2, 1, 1, 1}, {2, 24, 48, 5, 3, 43}, {3, 129, 258, 5, 7, 7}, {1, 384, 512, 2, 9, 15}};
  for (const Size& size : kQuick) check_case(gpu, size, Layout::cropped, precision, variant);
  if (quick) return;
  for (const Layout layout : {Layout::channels_first, Layout::channels_last}) {
    for (const std::int64_t channels : {1, 3, 24, 129}) {
      for (const std::int64_t tokens : {1, 5, 16}) {
        for (const std::int64_t pixels : {1, 7, 129, 1134}) {
          // A single number is a matter of luck: many images where there are few numbers.
          const std::int64_t batch = pixels < 10 ? 32 : 2;
          check_case(gpu, {batch, channels, 2 * channels, tokens, 1, pixels}, layout, precision, variant);
        }
      }
    }
  }
}

int run(bool quick) {
  const Probe probed = probe();
  if (probed.availability != Availability::available) {
    std::printf("SKIPPED: no GPU: %s (%s)\n", name_of(probed.availability), probed.error_text);
    return kSkipped;
  }
  DeviceDescription device;
  CHECK(describe_device(0, &device) == Status::ok, "%s", last_error().text);
  CHECK(set_device(0) == Status::ok, "%s", last_error().text);
  std::printf("%s, compute capability %d.%d\n", device.name, device.properties.compute_major,
              device.properties.compute_minor);
  const Gpu gpu(device.properties);
  for (const Precision precision :
       {Precision::float32, Precision::tf32, Precision::bfloat16, Precision::float16}) {
    for (const Variant variant : {Variant::simt, Variant::small, Variant::mma, Variant::wgmma}) {
      check_sizes(gpu, precision, variant, quick);
    }
  }
  return failures();
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test

int main(int argc, char** argv) {
  return tokenlearner::kernels::cuda::test::run(argc > 1 && std::strcmp(argv[1], "quick") == 0);
}
