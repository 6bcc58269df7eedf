// The rule that chooses variants, and that every plan fits its device and the bar on workspace.
#include "kernels/cuda/plan.hpp"

#include <initializer_list>

#include "check.hpp"
#include "kernels/cuda/maps-mma-body.hpp"
#include "kernels/cuda/maps-small-body.hpp"
#include "kernels/cuda/maps-wgmma-body.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

struct Workload {
  const char* name;
  CudaShape shape;
};

/** DESIGN section 7. */
constexpr Workload kWorkloads[] = {
    {"doc-1", {1, 64, 128, 8, 1024}},      {"doc-2", {2, 128, 512, 16, 4096}},
    {"zeta-test", {1, 256, 512, 8, 100}},  {"rt1-step", {6, 512, 1024, 8, 81}},
    {"rt1-batch", {48, 512, 1024, 8, 81}}, {"lucid", {12, 768, 1536, 8, 49}},
    {"vit-b", {32, 768, 1536, 16, 196}},   {"vit-l", {1, 1024, 2048, 16, 1024}},
    {"cifar", {256, 128, 256, 4, 64}},
};
constexpr Precision kPrecisions[] = {Precision::float32, Precision::tf32, Precision::bfloat16,
                                     Precision::float16};
/** CUDA C++ Programming Guide, "Technical Specifications per Compute Capability". */
constexpr DeviceProperties kDevices[] = {
    {8, 0, 108, 163 * 1024}, {8, 6, 84, 99 * 1024},    {8, 9, 128, 99 * 1024},
    {9, 0, 132, 227 * 1024}, {10, 0, 148, 227 * 1024}, {12, 0, 170, 99 * 1024},
};

constexpr std::size_t kMostWorkspace = 64'000'000;

void check_workloads() {
  for (const Workload& workload : kWorkloads) {
    for (const DeviceProperties& device : kDevices) {
      for (const Precision precision : kPrecisions) {
        const Variant variant = choose_variant(workload.shape, precision, device);
        const Plan plan = plan_forward(workload.shape, precision, variant, device);
        CHECK(plan.workspace_bytes < kMostWorkspace, "%s: %zu bytes", workload.name, plan.workspace_bytes);
        const std::int64_t tiles = tile_count(plan, workload.shape.hidden);
        const std::int64_t each = tiles_per_split(plan, workload.shape.hidden);
        CHECK(each * plan.splits >= tiles && each * (plan.splits - 1) < tiles, "%s: splits", workload.name);
        for (std::int64_t batch : {1, 3, 1000}) {
          CudaShape other = workload.shape;
          other.batch = batch;
          CHECK(choose_variant(other, precision, device) == variant, "%s: the batch changes the variant",
                workload.name);
          // A single image that does not fit is computed all the same.
          const Plan large = plan_forward(other, precision, variant, device);
          CHECK(large.workspace_bytes < kMostWorkspace, "%s x %lld: %zu", workload.name,
                static_cast<long long>(batch), large.workspace_bytes);
        }
      }
    }
  }
}

void check_rule() {
  const DeviceProperties& ampere = kDevices[0];
  const DeviceProperties& hopper = kDevices[3];
  const DeviceProperties& blackwell = kDevices[4];
  const CudaShape vit{32, 768, 1536, 16, 196};
  CHECK(choose_variant(vit, Precision::bfloat16, hopper) == Variant::wgmma, "vit-b");
  CHECK(choose_variant(vit, Precision::bfloat16, ampere) == Variant::mma, "vit-b");
  CHECK(choose_variant(vit, Precision::float32, blackwell) == Variant::mma, "wgmma is of sm_90 alone");
  CHECK(choose_variant({1, 64, 128, 8, 1024}, Precision::float32, hopper) == Variant::small, "doc-1");
  CHECK(choose_variant({1, 256, 512, 8, 100}, Precision::float32, hopper) == Variant::small, "zeta-test");
  CHECK(choose_variant({1, 3, 6, 8, 1024}, Precision::float32, ampere) == Variant::simt, "few channels");
  CHECK(choose_variant({1, 3, 6, 8, 64}, Precision::tf32, ampere) == Variant::mma, "few channels, tf32");
  CHECK(plan_forward(vit, Precision::bfloat16, Variant::wgmma, hopper).hidden_tile == 256, "vit-b is wide");
  CHECK(plan_forward({2, 128, 512, 16, 4096}, Precision::bfloat16, Variant::wgmma, hopper).hidden_tile == 128,
        "doc-2 is narrow");
}

template <Precision kPrecision>
void check_shared_memory() {
  for (const DeviceProperties& device : kDevices) {
    CHECK(MmaTraits<kPrecision>::kSharedBytes <= static_cast<int>(device.shared_memory_per_block),
          "mma on %d.%d: %d", device.compute_major, device.compute_minor,
          MmaTraits<kPrecision>::kSharedBytes);
  }
  constexpr int kHopperBlock = 227 * 1024;
  constexpr int kHopperMultiprocessor = 228 * 1024;
  constexpr int kReserved = 1024;
  using Narrow = WgmmaTraits<kPrecision, kHiddenGranule>;
  CHECK(Narrow::kSharedBytes <= kHopperBlock, "narrow: %d", Narrow::kSharedBytes);
  CHECK(Narrow::kBlocksPerMultiprocessor * (Narrow::kSharedBytes + kReserved) <= kHopperMultiprocessor,
        "narrow: %d", Narrow::kSharedBytes);
  if constexpr (kPrecision != Precision::float32) {
    using Wide = WgmmaTraits<kPrecision, kWideHiddenTile>;
    CHECK(Wide::kSharedBytes <= kHopperBlock, "wide: %d", Wide::kSharedBytes);
  }
}

void check_edges() {
  const DeviceProperties& hopper = kDevices[3];
  const Plan empty = plan_forward({0, 64, 128, 8, 64}, Precision::tf32, Variant::mma, hopper);
  CHECK(empty.workspace_bytes == 0, "a batch of 0 needs no workspace");
  Precision precision;
  CHECK(choose_precision(DType::float64, true, &precision) == Status::unsupported, "float64");
  CHECK(choose_precision(DType::float32, true, &precision) == Status::ok && precision == Precision::tf32,
        "tf32");
  CHECK(choose_precision(DType::float32, false, &precision) == Status::ok && precision == Precision::float32,
        "float32");
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test

int main() {
  using namespace tokenlearner::kernels::cuda;
  test::check_workloads();
  test::check_rule();
  test::check_shared_memory<Precision::float32>();
  test::check_shared_memory<Precision::tf32>();
  test::check_shared_memory<Precision::bfloat16>();
  test::check_shared_memory<Precision::float16>();
  test::check_edges();
  return test::failures();
}
