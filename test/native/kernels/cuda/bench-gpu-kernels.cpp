// Times every variant on the workloads of test/bench/workloads.json: median of 50 forwards by device events,
// after 10 to warm up. Prints the first product's rate, TFLOP/s. Exits with 77 without a GPU.
// By hand: bench-gpu-kernels [workload]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <random>
#include <string>

#include "device-memory.hpp"
#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/plan.hpp"
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
  Bench(const CudaShape& shape, Precision precision, Variant variant, const DeviceProperties& device,
        void* stream)
      : shape_(shape),
        stream_(stream),
        dtype_(precision == Precision::bfloat16  ? DType::bfloat16
               : precision == Precision::float16 ? DType::float16
                                                 : DType::float32),
        plan_(plan_forward(shape, precision, variant, device)),
        x_(random_bytes(shape.batch * shape.channels * shape.pixels, dtype_, 1.0f, 1), stream),
        w1_(random_bytes(shape.tokens * shape.hidden * shape.channels, dtype_,
                         1.0f / std::sqrt(static_cast<float>(shape.channels)), 2),
            stream),
        vectors_(random_bytes(shape.tokens * (shape.hidden + 1), dtype_, 0.1f, 3), stream),
        packed_(packed_weights_bytes(shape, precision, variant)),
        workspace_(plan_.workspace_bytes),
        attention_(static_cast<std::size_t>(shape.batch * shape.tokens * shape.pixels) * sizeof(float)),
        tokens_(static_cast<std::size_t>(shape.batch * shape.channels * shape.tokens) * item_size(dtype_)) {
    const LayerView layers[2] = {{w1_.get(), vectors_.get()}, {vectors_.get(), vectors_.get()}};
    const WeightsView weights{shape.channels, shape.hidden, shape.tokens, 2, dtype_, layers};
    require_ok(cuda_pack_weights(weights, precision, variant, packed_.get(),
                                 packed_weights_bytes(shape, precision, variant), &weights_, stream),
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
    require_ok(cuda_fused_forward(params, weights_, plan_, workspace_.get(), plan_.workspace_bytes, stream_),
               "cuda_fused_forward");
  }

  /** Milliseconds. */
  double median() const {
    void *start = nullptr, *end = nullptr;
    create_event(true, &start);
    create_event(true, &end);
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

  const Plan& plan() const { return plan_; }

 private:
  CudaShape shape_;
  void* stream_;
  DType dtype_;
  Plan plan_;
  DeviceMemory x_, w1_, vectors_, packed_, workspace_, attention_, tokens_;
  CudaPackedWeights weights_;
};

void time_variant(const Workload& workload, Precision precision, Variant variant,
                  const DeviceDescription& device, void* stream) {
  const CudaShape& shape = workload.shape;
  const Bench bench(shape, precision, variant, device.properties, stream);
  const double milliseconds = bench.median();
  const double operations = 2.0 * static_cast<double>(shape.batch * shape.pixels) *
                            static_cast<double>(shape.tokens * shape.hidden) *
                            static_cast<double>(shape.channels);
  const bool chosen = choose_variant(shape, precision, device.properties) == variant;
  std::printf("%-10s %-8s %-5s tile %3d splits %2d  %8.4f ms  %7.1f TFLOP/s%s\n", workload.name,
              name_of(precision), name_of(variant), bench.plan().hidden_tile, bench.plan().splits,
              milliseconds, operations / milliseconds * 1e-9, chosen ? "  <- chosen" : "");
}

int run(const char* only) {
  const Probe probed = probe();
  if (probed.availability != Availability::available) {
    std::printf("SKIPPED: no GPU: %s (%s)\n", name_of(probed.availability), probed.error_text);
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
      for (const Variant variant : {Variant::small, Variant::mma, Variant::wgmma}) {
        if (!can_run(variant, workload.shape, precision, device.properties)) continue;
        time_variant(workload, precision, variant, device, stream);
      }
    }
  }
  destroy_stream(stream);
  return 0;
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test

int main(int argc, char** argv) {
  try {
    return tokenlearner::kernels::cuda::test::run(argc > 1 ? argv[1] : nullptr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
