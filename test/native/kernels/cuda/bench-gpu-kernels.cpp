// Times every variant on the workloads of test/bench/workloads.json: median of 50 forwards by device events,
// after 10 to warm up. Prints the first product's rate, TFLOP/s. Exits with 77 without a GPU.
//
//     bench-gpu-kernels [WORKLOAD [PRECISION]] [--json FILE]
//
// The file gets one JSON object per line, as it is measured.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <random>
#include <string>

#include "device-memory.hpp"
#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/plan.hpp"
#include "kernels/cuda/tiling.hpp"
#include "workloads.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

constexpr int kSkipped = 77;
constexpr int kWarmUps = 10;
constexpr int kRepeats = 50;

/** Random data: zeros run faster than real inputs. */
std::vector<std::uint8_t> random_bytes(std::int64_t count, DType dtype, float scale, std::uint32_t seed) {
  std::minstd_rand generator(seed);
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count) * item_size(dtype));
  for (std::int64_t i = 0; i < count; ++i) store_element(bytes.data(), dtype, i, uniform(generator));
  return bytes;
}

/** One variant at one size, ready to run. */
class Bench {
 public:
  Bench(const CudaShape& shape, const Plan& plan, void* stream)
      : shape_(shape),
        stream_(stream),
        dtype_(element_dtype(plan.precision)),
        plan_(plan),
        x_(random_bytes(shape.batch * shape.channels * shape.pixels, dtype_, 1.0f, 1), Fill::none, stream),
        w1_(random_bytes(shape.tokens * shape.hidden * shape.channels, dtype_,
                         1.0f / std::sqrt(static_cast<float>(shape.channels)), 2),
            Fill::none, stream),
        vectors_(random_bytes(shape.tokens * (shape.hidden + 1), dtype_, 0.1f, 3), Fill::none, stream),
        packed_(packed_weights_bytes(shape, plan.precision, plan.variant), Fill::none, stream),
        workspace_(plan_.workspace_bytes, Fill::none, stream),
        counters_(std::vector<std::uint8_t>(plan_.counter_bytes, 0), Fill::none, stream),
        attention_(static_cast<std::size_t>(shape.batch * shape.tokens * shape.pixels) * sizeof(float),
                   Fill::none, stream),
        tokens_(static_cast<std::size_t>(shape.batch * shape.channels * shape.tokens) * item_size(dtype_),
                Fill::none, stream) {
    const LayerView layers[2] = {{w1_.get(), vectors_.get()}, {vectors_.get(), vectors_.get()}};
    const WeightsView weights{shape.channels, shape.hidden, shape.tokens, 2, dtype_, layers};
    require_ok(
        cuda_pack_weights(weights, plan.precision, plan.variant, packed_.get(),
                          packed_weights_bytes(shape, plan.precision, plan.variant), &weights_, stream),
        "cuda_pack_weights");
  }

  void run() const {
    ForwardParams params;
    params.batch = shape_.batch;
    params.height = 1;
    params.width = shape_.pixels;
    params.dtype = dtype_;
    params.x = x_.get();
    params.x_batch_stride = shape_.channels * shape_.pixels;
    params.x_channel_stride = params.x_row_stride = shape_.pixels;
    params.x_pixel_stride = 1;
    params.tokens = tokens_.get();
    params.tokens_batch_stride = shape_.channels * shape_.tokens;
    params.tokens_channel_stride = shape_.tokens;
    params.tokens_token_stride = 1;
    params.attention = attention_.get();
    params.attention_batch_stride = shape_.tokens * shape_.pixels;
    params.attention_token_stride = shape_.pixels;
    const Scratch scratch{workspace_.get(), plan_.workspace_bytes, counters_.get(), plan_.counter_bytes};
    require_ok(cuda_fused_forward(params, weights_, plan_, scratch, stream_), "cuda_fused_forward");
  }

  /** Milliseconds. */
  double median() const {
    void *start = nullptr, *end = nullptr;
    create_event(&start);
    create_event(&end);
    std::vector<float> times(kRepeats);
    for (int i = -kWarmUps; i < kRepeats; ++i) {
      record_event(start, stream_);
      run();
      record_event(end, stream_);
      synchronize_event(end);
      if (i < 0) continue;
      require_ok(elapsed_milliseconds(start, end, &times[static_cast<std::size_t>(i)]),
                 "elapsed_milliseconds");
    }
    destroy_event(start);
    destroy_event(end);
    std::nth_element(times.begin(), times.begin() + kRepeats / 2, times.end());
    return times[kRepeats / 2];
  }

 private:
  CudaShape shape_;
  void* stream_;
  DType dtype_;
  Plan plan_;
  DeviceMemory x_, w1_, vectors_, packed_, workspace_, counters_, attention_, tokens_;
  CudaPackedWeights weights_;
};

void time_variant(const Workload& workload, Precision precision, Variant variant,
                  const DeviceProperties& device, void* stream, std::FILE* json) {
  const CudaShape& shape = workload.shape;
  const Plan plan = plan_forward(shape, precision, variant, device);
  const double milliseconds = Bench(shape, plan, stream).median();
  const double operations = 2.0 * static_cast<double>(shape.batch * shape.pixels) *
                            static_cast<double>(shape.tokens * shape.hidden) *
                            static_cast<double>(shape.channels);
  const bool chosen = choose_variant(shape, precision, device) == variant;
  if (json != nullptr) {
    std::fprintf(json,
                 R"({"workload":"%s","precision":"%s","variant":"%s","tile":%d,"splits":%d,"ms":%.6g,)"
                 R"("tflops":%.6g,"chosen":%s})"
                 "\n",
                 workload.name, name_of(precision), name_of(variant), plan.hidden_tile, plan.splits,
                 milliseconds, operations / milliseconds * 1e-9, chosen ? "true" : "false");
    std::fflush(json);
  }
  std::printf("%-10s %-8s %-5s tile %3d splits %2d  %8.4f ms  %7.1f TFLOP/s%s\n", workload.name,
              name_of(precision), name_of(variant), plan.hidden_tile, plan.splits, milliseconds,
              operations / milliseconds * 1e-9, chosen ? "  <- chosen" : "");
}

/** `only`, `only_precision`: null for all. */
int run(const char* only, const char* only_precision, std::FILE* json) {
  const Probe probed = probe();
  if (probed.device_count == 0) {
    std::printf("SKIPPED: no GPU: %s\n", probed.error_text);
    return kSkipped;
  }
  DeviceDescription device;
  void* stream = nullptr;
  require_ok(describe_device(0, &device), "describe_device");
  require_ok(create_stream(&stream), "create_stream");
  std::printf("%s, compute capability %d.%d, driver %d, runtime %d\n", device.name,
              device.properties.compute_major, device.properties.compute_minor, probed.driver_version,
              probed.runtime_version);
  for (const Workload& workload : kWorkloads) {
    if (only != nullptr && std::strcmp(only, workload.name) != 0) continue;
    for (const Precision precision :
         {Precision::float32, Precision::tf32, Precision::bfloat16, Precision::float16}) {
      if (only_precision != nullptr && std::strcmp(only_precision, name_of(precision)) != 0) continue;
      for (const Variant variant : {Variant::small, Variant::mma, Variant::wgmma}) {
        if (!can_run(variant, workload.shape, precision, device.properties)) continue;
        time_variant(workload, precision, variant, device.properties, stream, json);
      }
    }
  }
  destroy_stream(stream);
  return 0;
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test

int main(int argc, char** argv) {
  const char *workload = nullptr, *precision = nullptr, *file = nullptr;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
      file = argv[++i];
    } else if (workload != nullptr) {
      precision = argv[i];
    } else {
      workload = argv[i];
    }
  }
  using tokenlearner::kernels::cuda::test::kWorkloads;
  const bool known = std::any_of(std::begin(kWorkloads), std::end(kWorkloads), [&](const auto& each) {
    return workload == nullptr || std::strcmp(workload, each.name) == 0;
  });
  std::FILE* json = file == nullptr ? nullptr : std::fopen(file, "a");
  if (!known || (file != nullptr && json == nullptr)) {
    std::fprintf(stderr,
                 "Expected [WORKLOAD [PRECISION]] [--json FILE]: a workload of test/bench/workloads.json\n");
    return 2;
  }
  try {
    return tokenlearner::kernels::cuda::test::run(workload, precision, json);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
