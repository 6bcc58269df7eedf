// Every kernel on the GPU against the oracle, over a table of sizes. Exits with 77, skipped, without a GPU.
//
//     cuda-gpu-kernels [quick] [--no-poison] [doctest's options]
//
// `quick` runs a few sizes of each kernel, for compute-sanitizer: `compute-sanitizer --tool
// memcheck|racecheck|synccheck cuda-gpu-kernels quick`. `--no-poison` leaves memory without content as it is, for
// `--tool initcheck`; it also turns off the guards of guards.hpp. `--success` prints the measured errors.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "device-memory.hpp"
#include "gpu-options.hpp"
#include "images-for.hpp"
#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/plan.hpp"
#include "problem-cache.hpp"
#include "stringify.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

constexpr int kSkipped = 77;

constexpr Variant kVariants[] = {Variant::simt, Variant::small, Variant::mma, Variant::wgmma};

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
  void check_guards(const char* name, const DeviceMemory& memory) const {
    INFO(std::string(name));
    CHECK(memory.damage(stream_) == "");
  }

  DeviceProperties properties_;
  void* stream_ = nullptr;
};

Result Gpu::run(const Problem& problem, Precision precision, Variant variant, const Plan& plan) const {
  ForwardParams params = problem.params();
  const DeviceMemory x(problem.x(), fill, stream_);
  const DeviceMemory w1(problem.weight(0), fill, stream_), b1(problem.weight(1), fill, stream_);
  const DeviceMemory w2(problem.weight(2), fill, stream_), b2(problem.weight(3), fill, stream_);
  LayerView host_layers[2];
  WeightsView weights = problem.weights(host_layers);
  const LayerView layers[2] = {{w1.get(), b1.get()}, {w2.get(), b2.get()}};
  weights.layers = layers;

  const std::size_t packed_bytes = packed_weights_bytes(problem.shape(), precision, variant);
  const DeviceMemory packed_memory(packed_bytes, fill, stream_);
  CudaPackedWeights packed;
  require_ok(
      cuda_pack_weights(weights, precision, variant, packed_memory.get(), packed_bytes, &packed, stream_),
      "cuda_pack_weights");

  Result result;
  result.attention.resize(problem.attention().size());
  result.tokens.resize(problem.tokens().size() * item_size(params.dtype));
  const DeviceMemory attention(result.attention.size() * sizeof(float), fill, stream_);
  const DeviceMemory tokens(result.tokens.size(), fill, stream_);
  const DeviceMemory workspace(plan.workspace_bytes, fill, stream_);
  params.x = x.get();
  params.attention = attention.get();
  params.tokens = tokens.get();
  std::vector<std::uint8_t> zeros(plan.counter_bytes, 0);
  const DeviceMemory counters(zeros, fill, stream_);
  const Scratch scratch{workspace.get(), plan.workspace_bytes, counters.get(), plan.counter_bytes};
  require_ok(cuda_fused_forward(params, packed, plan, scratch, stream_), "cuda_fused_forward");
  attention.read(result.attention.data(), result.attention.size() * sizeof(float), stream_);
  tokens.read(result.tokens.data(), result.tokens.size(), stream_);
  check_guards("attention", attention);
  check_guards("tokens", tokens);
  check_guards("workspace", workspace);
  check_guards("counters", counters);
  // The next forward of the stream starts with them.
  counters.read(zeros.data(), zeros.size(), stream_);
  CHECK(std::all_of(zeros.begin(), zeros.end(), [](std::uint8_t byte) { return byte == 0; }));
  check_guards("packed weights", packed_memory);
  return result;
}

void check_errors(const Result& result, const ProblemCache::Entry& expected, Precision precision) {
  const Problem& problem = expected.problem;
  const std::vector<double> attention(result.attention.begin(), result.attention.end());
  std::vector<double> tokens;
  for (std::size_t i = 0; i < problem.tokens().size(); ++i) {
    tokens.push_back(
        load_element(result.tokens.data(), element_dtype(precision), static_cast<std::int64_t>(i)));
  }
  const double attention_error = relative_error(attention, problem.attention());
  const double tokens_error = relative_error(tokens, problem.tokens());
  // Written so that NaN fails.
  CHECK(attention_error <= allowed_error(precision, expected.pytorch.attention));
  CHECK(tokens_error <= allowed_error(precision, expected.pytorch.tokens));
}

void check_case(const Gpu& gpu, const ProblemCache::Entry& expected, Precision precision, Variant variant) {
  const Problem& problem = expected.problem;
  const CudaShape shape = problem.shape();
  const Plan plan = plan_forward(shape, precision, variant, gpu.properties());
  INFO("B ", shape.batch, " C ", shape.channels, " K ", shape.hidden, " G ", shape.tokens, " P ",
       shape.pixels, " hidden tile ", plan.hidden_tile, " splits ", plan.splits);
  const Result result = gpu.run(problem, precision, variant, plan);
  check_errors(result, expected, precision);

  // One image per pass, and one block for all hidden rows: each gives the same bits.
  Plan alone = plan;
  alone.images_per_pass = 1;
  DeviceProperties one_multiprocessor = gpu.properties();
  one_multiprocessor.multiprocessors = 1;
  const Plan unsplit = plan_forward(shape, precision, variant, one_multiprocessor);
  for (const Plan& other : {alone, unsplit}) {
    INFO("images per pass ", other.images_per_pass, " splits ", other.splits);
    const Result again = gpu.run(problem, precision, variant, other);
    const bool same_attention = again.attention == result.attention;
    const bool same_tokens = again.tokens == result.tokens;
    CHECK(same_attention);
    CHECK(same_tokens);
  }
}

std::vector<Case> quick_cases() {
  return {{{32, 1, 2, 1, 1, 1}, Layout::cropped},
          {{2, 24, 48, 5, 3, 43}, Layout::cropped},
          {{3, 129, 258, 5, 7, 7}, Layout::cropped},
          // Four tiles of 256 hidden rows: wgmma in the 16-bit types and tf32.
          {{1, 384, 1024, 2, 9, 15}, Layout::cropped}};
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const Layout layout : {Layout::channels_first, Layout::channels_last}) {
    for (const std::int64_t channels : {1, 3, 24, 129}) {
      for (const std::int64_t tokens : {1, 5, 16}) {
        for (const std::int64_t pixels : {1, 7, 129, 1134}) {
          const std::int64_t batch = images_for(channels, tokens, pixels);
          cases.push_back({{batch, channels, 2 * channels, tokens, 1, pixels}, layout});
        }
      }
    }
    // Many tiles of 256 hidden rows: 6 of wgmma, in several images per block; a hidden layer of no whole tile.
    cases.push_back({{3, 768, 1536, 2, 7, 15}, layout});
    cases.push_back({{2, 512, 1100, 3, 9, 9}, layout});
    cases.push_back({{1, 200, 4096, 1, 3, 43}, layout});
  }
  return cases;
}

/** The cases that a kernel can run. */
std::vector<Case> runnable(const std::vector<Case>& cases, const Gpu& gpu, Precision precision,
                           Variant variant) {
  std::vector<Case> chosen;
  for (const Case& c : cases) {
    if (can_run(variant, shape_of(c.size), precision, gpu.properties())) chosen.push_back(c);
  }
  return chosen;
}

/** Each variant in each precision as a subcase. The cache is shared by all of them. */
void check_all(const std::vector<Case>& cases, ProblemCache& cache) {
  const Gpu gpu;
  for (const Precision precision : kPrecisions) {
    for (const Variant variant : kVariants) {
      const std::string name = std::string(name_of(variant)) + " " + name_of(precision);
      SUBCASE(name.c_str()) {
        const std::vector<Case> chosen = runnable(cases, gpu, precision, variant);
        std::printf("%-14s %zu of %zu cases\n", name.c_str(), chosen.size(), cases.size());
        std::fflush(stdout);
        cache.prepare(chosen, {precision});
        try {
          for (const Case& c : chosen) check_case(gpu, cache.get(c, precision), precision, variant);
        } catch (const std::runtime_error& error) {
          // CUDA refused a call. The other kernels still run.
          FAIL_CHECK(std::string(error.what()));
        }
      }
    }
  }
}

TEST_SUITE("cuda/gpu-kernels/quick") {
  TEST_CASE("a few sizes, cropped images") {
    static ProblemCache cache;
    check_all(quick_cases(), cache);
  }
}

TEST_SUITE("cuda/gpu-kernels/full") {
  TEST_CASE("all sizes, channels first and last") {
    static ProblemCache cache;
    check_all(all_cases(), cache);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test

int main(int argc, char** argv) {
  using namespace tokenlearner::kernels::cuda;
  const test::Probe probed = test::probe();
  if (probed.device_count == 0) {
    std::printf("SKIPPED: no GPU: %s\n", probed.error_text);
    return test::kSkipped;
  }
  doctest::Context context(argc, argv);
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "quick") context.setOption("test-suite", "cuda/gpu-kernels/quick");
    if (argument == "--no-poison") test::fill = test::Fill::none;
  }
  return context.run();
}
