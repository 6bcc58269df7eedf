// The kernels of the official layers on the GPU, as gpu-kernels.cpp has those of TokenLearner: against the equations in double, with
// twice PyTorch's error.
#include <doctest.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "family-device.hpp"
#include "fuser-device.hpp"
#include "gpu-options.hpp"
#include "images-for.hpp"
#include "kernels/cuda/portable.hpp"
#include "v10-device.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

using ::test::Layout;
using ::test::V11Case;

/** Device 0 with a stream. */
class FamilyGpu {
 public:
  FamilyGpu() {
    DeviceDescription description;
    require_ok(describe_device(0, &description), "describe_device");
    require_ok(set_device(0), "set_device");
    require_ok(create_stream(&device_.stream), "create_stream");
    device_.properties = description.properties;
    device_.fill = fill;
  }
  ~FamilyGpu() { destroy_stream(device_.stream); }
  FamilyGpu(const FamilyGpu&) = delete;
  FamilyGpu& operator=(const FamilyGpu&) = delete;

  const FamilyDevice& get() const { return device_; }

 private:
  FamilyDevice device_;
};

std::vector<V11Case> quick_cases() {
  return {
      {.batch = 2, .channels = 24, .height = 5, .width = 7, .layout = Layout::padded},
      {.channels = 129, .height = 7, .width = 7, .tokens = 5, .hidden = 33, .layout = Layout::channels_last},
      {.batch = 2, .channels = 3, .height = 27, .width = 42, .tokens = 11, .hidden = 70}};
}

std::vector<V11Case> all_cases() {
  std::vector<V11Case> cases;
  for (const Layout layout : {Layout::channels_first, Layout::channels_last}) {
    for (const std::int64_t channels : {1, 3, 24, 129}) {
      for (const std::int64_t tokens : {1, 5, 16}) {
        for (const std::int64_t pixels : {1, 7, 129, 1134}) {
          cases.push_back({.batch = images_for(channels, tokens, pixels),
                           .channels = channels,
                           .height = 1,
                           .width = pixels,
                           .tokens = tokens,
                           .layout = layout});
        }
      }
    }
    cases.push_back({.batch = 3, .channels = 768, .height = 14, .width = 14, .layout = layout});
    cases.push_back({.batch = 6, .channels = 512, .height = 9, .width = 9, .offset = 100});
    // More than shared memory holds, and more tokens than a thread block takes.
    cases.push_back({.channels = 4000, .height = 7, .width = 9, .layout = layout});
    cases.push_back(
        {.channels = 64, .height = 9, .width = 9, .tokens = 130, .hidden = 200, .layout = layout});
  }
  return cases;
}

using Check = void (*)(const FamilyDevice&, const V11Case&, Precision);

struct Layer {
  const char* name;
  Check check;
};

constexpr Layer kLayers[] = {
    {"v1.0", [](const FamilyDevice& device, const V11Case& c,
                Precision precision) { check_v10(device, c, precision); }},
    {"v1.1", check_v11},
    {"fuser", [](const FamilyDevice& device, const V11Case& c,
                 Precision precision) { check_fuser(device, c, precision); }},
};

/** Each layer in each precision as a subcase. */
void check_all(const std::vector<V11Case>& cases) {
  const FamilyGpu gpu;
  for (const Layer& layer : kLayers) {
    for (const Precision precision : kPrecisions) {
      const std::string name = std::string(layer.name) + " " + name_of(precision);
      SUBCASE(name.c_str()) {
        std::printf("%-14s %zu cases\n", name.c_str(), cases.size());
        std::fflush(stdout);
        try {
          for (const V11Case& c : cases) layer.check(gpu.get(), c, precision);
        } catch (const std::runtime_error& error) {
          // CUDA refused a call. The other kernels still run.
          FAIL_CHECK(std::string(error.what()));
        }
      }
    }
  }
}

TEST_SUITE("cuda/gpu-kernels/quick") {
  TEST_CASE("the official layers: a few sizes") { check_all(quick_cases()); }
}

TEST_SUITE("cuda/gpu-kernels/full") {
  TEST_CASE("the official layers: all sizes") { check_all(all_cases()); }
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test
