// The rule that chooses variants; every plan fits its device and the limit on workspace.
#include "kernels/cuda/plan.hpp"

#include <doctest.h>

#include <initializer_list>

#include "kernels/cuda/maps-mma-body.hpp"
#include "kernels/cuda/maps-simt-body.hpp"
#include "kernels/cuda/maps-small-body.hpp"
#include "kernels/cuda/maps-wgmma-body.hpp"
#include "stringify.hpp"
#include "workloads.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

constexpr Precision kPrecisions[] = {Precision::float32, Precision::tf32, Precision::bfloat16,
                                     Precision::float16};
/** CUDA C++ Programming Guide, "Technical Specifications per Compute Capability". */
constexpr DeviceProperties kDevices[] = {
    {8, 0, 108, 163 * 1024}, {8, 6, 84, 99 * 1024},    {8, 9, 128, 99 * 1024},
    {9, 0, 132, 227 * 1024}, {10, 0, 148, 227 * 1024}, {12, 0, 170, 99 * 1024},
};

constexpr const DeviceProperties& kAmpere = kDevices[0];
constexpr const DeviceProperties& kHopper = kDevices[3];
constexpr const DeviceProperties& kBlackwell = kDevices[4];

constexpr std::size_t kMostWorkspace = 64'000'000;

void check_workload(const CudaShape& shape, const DeviceProperties& device, Precision precision) {
  const Variant variant = choose_variant(shape, precision, device);
  const Plan plan = plan_forward(shape, precision, variant, device);
  CHECK(plan.workspace_bytes < kMostWorkspace);
  const std::int64_t tiles = tile_count(plan, shape.hidden);
  const std::int64_t each = tiles_per_split(plan, shape.hidden);
  CHECK(each * plan.splits >= tiles);
  CHECK(each * (plan.splits - 1) < tiles);
  for (std::int64_t batch : {1, 3, 1000}) {
    CAPTURE(batch);
    CudaShape other = shape;
    other.batch = batch;
    // The batch does not change the variant.
    CHECK(choose_variant(other, precision, device) == variant);
    // A batch that does not fit runs in several passes.
    const Plan large = plan_forward(other, precision, variant, device);
    CHECK(large.workspace_bytes < kMostWorkspace);
  }
}

template <Precision kPrecision>
void check_shared_memory() {
  constexpr int kMmaBytes = MmaTraits<kPrecision>::kSharedBytes;
  for (const DeviceProperties& device : kDevices) {
    INFO("compute capability ", device.compute_major, ".", device.compute_minor);
    CHECK(kMmaBytes <= static_cast<int>(device.shared_memory_per_block));
  }
  constexpr int kHopperBlock = 227 * 1024;
  constexpr int kHopperMultiprocessor = 228 * 1024;
  constexpr int kReserved = 1024;
  using Narrow = WgmmaTraits<kPrecision, kHiddenGranule>;
  constexpr int kNarrowBytes = Narrow::kSharedBytes;
  CHECK(kNarrowBytes <= kHopperBlock);
  CHECK(Narrow::kBlocksPerMultiprocessor * (kNarrowBytes + kReserved) <= kHopperMultiprocessor);
  if constexpr (kPrecision != Precision::float32) {
    constexpr int kWideBytes = WgmmaTraits<kPrecision, kWideHiddenTile>::kSharedBytes;
    CHECK(kWideBytes <= kHopperBlock);
  }
}

TEST_SUITE("cuda/plan") {
  TEST_CASE("every workload on every device") {
    for (const Workload& workload : kWorkloads) {
      SUBCASE(workload.name) {
        for (const DeviceProperties& device : kDevices) {
          INFO("compute capability ", device.compute_major, ".", device.compute_minor);
          for (const Precision precision : kPrecisions) {
            CAPTURE(precision);
            check_workload(workload.shape, device, precision);
          }
        }
      }
    }
  }

  TEST_CASE("many channels: wgmma on compute capability 9.0 alone, mma elsewhere") {
    const CudaShape vit{32, 768, 1536, 16, 196};
    CHECK(choose_variant(vit, Precision::bfloat16, kHopper) == Variant::wgmma);
    CHECK(choose_variant(vit, Precision::bfloat16, kAmpere) == Variant::mma);
    CHECK(choose_variant(vit, Precision::float32, kBlackwell) == Variant::mma);
  }

  TEST_CASE("small problems: the small variant") {
    CHECK(choose_variant({1, 64, 128, 8, 1024}, Precision::float32, kHopper) == Variant::small);
    CHECK(choose_variant({1, 64, 128, 8, 1144}, Precision::float32, kHopper) == Variant::small);
    CHECK(choose_variant({1, 64, 128, 8, 1145}, Precision::float32, kHopper) == Variant::wgmma);
    CHECK(choose_variant({1, 256, 512, 8, 100}, Precision::bfloat16, kHopper) == Variant::wgmma);
    CHECK(choose_variant({1, 256, 512, 8, 100}, Precision::bfloat16, kAmpere) == Variant::mma);
  }

  TEST_CASE("few channels: simt in float32, mma in tf32") {
    CHECK(choose_variant({1, 3, 6, 8, 1024}, Precision::float32, kAmpere) == Variant::simt);
    CHECK(choose_variant({1, 3, 6, 8, 64}, Precision::tf32, kAmpere) == Variant::mma);
  }

  TEST_CASE("wgmma has wide tiles where the product over channels is long") {
    const auto tile = [](const CudaShape& shape) {
      return plan_forward(shape, Precision::bfloat16, Variant::wgmma, kHopper).hidden_tile;
    };
    CHECK(tile({32, 768, 1536, 16, 196}) == 256);
    CHECK(tile({2, 128, 512, 16, 4096}) == 128);
  }

  TEST_CASE("wgmma with wide tiles: as many thread blocks as multiprocessors") {
    // 7 pixel tiles, 12 tiles of hidden rows.
    DeviceProperties device = kHopper;
    device.multiprocessors = 28;
    const CudaShape shape{1, 768, 12 * 256, 1, 7 * 128};
    CHECK(plan_forward(shape, Precision::bfloat16, Variant::wgmma, device).splits == 4);
    device.multiprocessors = 27;
    CHECK(plan_forward(shape, Precision::bfloat16, Variant::wgmma, device).splits == 3);
  }

  TEST_CASE("float32: tiles fit into shared memory") { check_shared_memory<Precision::float32>(); }
  TEST_CASE("tf32: tiles fit into shared memory") { check_shared_memory<Precision::tf32>(); }
  TEST_CASE("bfloat16: tiles fit into shared memory") { check_shared_memory<Precision::bfloat16>(); }
  TEST_CASE("float16: tiles fit into shared memory") { check_shared_memory<Precision::float16>(); }

  TEST_CASE("sizes beyond the kernels' 32-bit arithmetic are unsupported") {
    constexpr std::int64_t kLarge = std::int64_t{1} << 31;
    const auto check = [](std::int64_t channels, std::int64_t hidden, std::int64_t tokens,
                          std::int64_t pixels) {
      return check_sizes({1, channels, hidden, tokens, pixels}, Precision::float32);
    };
    CHECK(check(4, kLarge - 128, 1, 49) == Status::ok);
    CHECK(check(4, kLarge - 127, 1, 49) == Status::unsupported);  // rounds up to 2^31
    CHECK(check(4, kLarge / 4, 4, 49) == Status::unsupported);
    CHECK(check(kLarge - 32, 2, 1, 49) == Status::ok);
    CHECK(check(kLarge - 31, 2, 1, 49) == Status::unsupported);
    // 2^24 - 1 tiles of hidden rows by 2^8 chunks.
    CHECK(check(32 << 8, kLarge - 128, 1, 49) == Status::unsupported);
    CHECK(check(4, 8, 1, 32 * (kLarge - 1)) == Status::ok);
    CHECK(check(4, 8, 1, 32 * kLarge) == Status::unsupported);
    CHECK(check(0, 8, 1, 49) == Status::invalid_argument);
    CHECK(check(kLarge * kLarge, kLarge * kLarge, kLarge * kLarge, 49) == Status::unsupported);
  }

  TEST_CASE("shared memory and offsets of large sizes need 64 bits") {
    // 2^32 bytes of pixels: a 32-bit product would be 0, and the variant would seem to fit.
    CHECK_FALSE(can_run(Variant::small, {1, std::int64_t{32} << 19, 8, 1, 128}, Precision::float32, kHopper));
    CHECK(simt_pair_offset(1) == 32);
    CHECK(simt_pair_offset(1 << 26) == std::int64_t{1} << 31);
  }

  TEST_CASE("all variants but simt share the format of their weights") {
    CHECK(format_of(Variant::simt) == WeightFormat::rows);
    for (const Variant variant : {Variant::small, Variant::mma, Variant::wgmma})
      CHECK(format_of(variant) == WeightFormat::tile_images);
  }

  TEST_CASE("a batch of 0 needs no workspace") {
    const Plan empty = plan_forward({0, 64, 128, 8, 64}, Precision::tf32, Variant::mma, kHopper);
    CHECK(empty.workspace_bytes == 0);
  }

  TEST_CASE("the precision follows from the dtype and from whether tf32 is allowed") {
    Precision precision;
    CHECK(choose_precision(DType::float64, true, &precision) == Status::unsupported);
    CHECK(choose_precision(DType::float32, true, &precision) == Status::ok);
    CHECK(precision == Precision::tf32);
    CHECK(choose_precision(DType::float32, false, &precision) == Status::ok);
    CHECK(precision == Precision::float32);
  }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
