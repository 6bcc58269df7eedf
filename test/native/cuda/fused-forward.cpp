// Every variant, whole: packing, maps, tokens, through cuda_fused_forward, on the host machine, against the
// oracle.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>

#include "check.hpp"
#include "kernels/cuda/numerics.hpp"
#include "kernels/cuda/plan.hpp"
#include "problem.hpp"

namespace tokenlearner::kernels::cuda::test {
namespace {

const DeviceProperties kHopper{9, 0, 132, 232448};

struct Aligned {
  explicit Aligned(std::size_t bytes)
      : size((bytes + 1023) / 1024 * 1024 + 1024), memory(std::aligned_alloc(1024, size), &std::free) {
    // NaN as every type: what is read before it is written shows.
    std::memset(memory.get(), 0xff, size);
  }
  std::size_t size;
  std::unique_ptr<void, void (*)(void*)> memory;
};

struct Result {
  std::vector<double> attention, tokens;
};

Result run(const Problem& problem, Precision precision, Variant variant, const Plan& plan) {
  ForwardParams params = problem.params();
  const CudaShape shape = problem.shape();
  LayerView layers[2];
  const WeightsView weights = problem.weights(layers);
  const std::size_t packed_bytes = packed_weights_bytes(shape, precision, variant);
  const Aligned packed_memory(packed_bytes);
  const Aligned workspace(plan.workspace_bytes);
  CudaPackedWeights packed;
  Status status = cuda_pack_weights(weights, precision, variant, packed_memory.memory.get(), packed_bytes,
                                    &packed, nullptr);
  CHECK(status == Status::ok, "%s", name_of(status));

  std::vector<float> attention(problem.attention().size(), NAN);
  std::vector<std::uint8_t> tokens(problem.tokens().size() * size_of(params.dtype), 0xff);
  params.x = problem.x().data();
  params.attention = attention.data();
  params.tokens = tokens.data();
  status = cuda_fused_forward(params, packed, plan, workspace.memory.get(), plan.workspace_bytes, nullptr);
  CHECK(status == Status::ok, "%s", name_of(status));

  Result result;
  result.attention.assign(attention.begin(), attention.end());
  for (std::size_t i = 0; i < problem.tokens().size(); ++i) {
    result.tokens.push_back(load_element(tokens.data(), params.dtype, static_cast<std::int64_t>(i)));
  }
  return result;
}

struct Case {
  Size size;
  Layout layout;
};

DType dtype_of(Precision precision) {
  return precision == Precision::bfloat16  ? DType::bfloat16
         : precision == Precision::float16 ? DType::float16
                                           : DType::float32;
}

void check_case(const Case& c, Precision precision, Variant variant, int multiprocessors) {
  const Problem problem(c.size, dtype_of(precision), c.layout, 1);
  DeviceProperties device = kHopper;
  device.multiprocessors = multiprocessors;
  const Plan plan = plan_forward(problem.shape(), precision, variant, device);
  const std::string name = std::string(name_of(variant)) + " " + name_of(precision) + " B" +
                           std::to_string(c.size.batch) + " C" + std::to_string(c.size.channels) + " K" +
                           std::to_string(c.size.hidden) + " G" + std::to_string(c.size.tokens) + " P" +
                           std::to_string(c.size.pixels()) + " splits " + std::to_string(plan.splits);
  try {
    const Result result = run(problem, precision, variant, plan);
    const Problem::Errors pytorch = problem.pytorch_errors(precision);
    const double attention = relative_error(result.attention, problem.attention());
    const double tokens = relative_error(result.tokens, problem.tokens());
    std::printf("%-52s maps %.1e (PyTorch %.1e)  tokens %.1e (%.1e)\n", name.c_str(), attention,
                pytorch.attention, tokens, pytorch.tokens);
    CHECK(attention <= allowed_error(precision, pytorch.attention), "%s: maps %g", name.c_str(), attention);
    CHECK(tokens <= allowed_error(precision, pytorch.tokens), "%s: tokens %g", name.c_str(), tokens);
  } catch (const std::exception& error) {
    CHECK(false, "%s: %s", name.c_str(), error.what());
  }
}

/** Image 1 of a batch of 3 has the bits that it has alone, and with its hidden rows shared among more blocks.
 */
void check_batch_invariance(Precision precision, Variant variant) {
  const Size size{3, 40, 300, 2, 3, 7};
  const Problem problem(size, dtype_of(precision), Layout::channels_first, 5);
  const CudaShape shape = problem.shape();
  DeviceProperties small = kHopper;
  small.multiprocessors = 1;
  const Plan unsplit = plan_forward(shape, precision, variant, small);
  const Plan split = plan_forward(shape, precision, variant, kHopper);
  CHECK(unsplit.splits == 1, "%d", unsplit.splits);
  CHECK(variant == Variant::simt || split.splits > 1, "%d", split.splits);
  Plan one_by_one = unsplit;
  one_by_one.images_per_pass = 1;
  const Result together = run(problem, precision, variant, unsplit);
  const Result shared = run(problem, precision, variant, split);
  const Result alone = run(problem, precision, variant, one_by_one);
  CHECK(together.attention == shared.attention && together.tokens == shared.tokens,
        "%s %s: splits change bits", name_of(variant), name_of(precision));
  CHECK(together.attention == alone.attention && together.tokens == alone.tokens,
        "%s %s: the batch changes bits", name_of(variant), name_of(precision));
}

void check_variant(Variant variant, Precision precision) {
  const Case tensor_cases[] = {
      {{32, 1, 2, 1, 1, 1}, Layout::channels_first},    {{2, 3, 6, 5, 1, 7}, Layout::channels_last},
      {{1, 24, 48, 5, 3, 43}, Layout::cropped},         {{3, 129, 258, 1, 7, 7}, Layout::channels_first},
      {{1, 33, 300, 2, 40, 30}, Layout::channels_last}, {{2, 65, 129, 16, 2, 3}, Layout::cropped},
  };
  const Case simt_cases[] = {
      {{32, 1, 2, 1, 1, 1}, Layout::channels_first},
      {{3, 3, 7, 5, 1, 129}, Layout::channels_last},
      {{1, 16, 33, 16, 27, 42}, Layout::cropped},
  };
  // Many more iterations than stages: several chunks to a tile, and one chunk to each of many tiles.
  const Case long_cases[] = {
      {{1, 129, 600, 2, 2, 65}, Layout::channels_first},
      {{1, 32, 900, 2, 1, 65}, Layout::channels_first},
  };
  if (variant == Variant::simt) {
    for (const Case& c : simt_cases) check_case(c, precision, variant, 132);
  } else {
    for (const Case& c : tensor_cases) {
      check_case(c, precision, variant, 132);
    }
    for (const Case& c : long_cases) check_case(c, precision, variant, 1);
  }
  check_batch_invariance(precision, variant == Variant::simt ? Variant::mma : variant);
}

void check_wide_wgmma() {
  // 6 chunks of 64 channels, and a hidden layer of whole tiles of 256.
  const Case c{{1, 384, 512, 1, 2, 66}, Layout::channels_first};
  const Plan plan = plan_forward({1, 384, 512, 1, 132}, Precision::bfloat16, Variant::wgmma, kHopper);
  CHECK(plan.hidden_tile == 256, "%d", plan.hidden_tile);
  check_case(c, Precision::bfloat16, Variant::wgmma, 132);
  check_case(c, Precision::float16, Variant::wgmma, 1);
  check_case({{1, 192, 256, 1, 2, 66}, Layout::channels_first}, Precision::tf32, Variant::wgmma, 1);
}

}  // namespace
}  // namespace tokenlearner::kernels::cuda::test

/** Argument: the variant. */
int main(int argc, char** argv) {
  using namespace tokenlearner::kernels::cuda;
  const std::string which = argc > 1 ? argv[1] : "";
  const Precision precisions[] = {Precision::float32, Precision::tf32, Precision::bfloat16,
                                  Precision::float16};
  for (const Variant variant : {Variant::simt, Variant::small, Variant::mma, Variant::wgmma}) {
    if (!which.empty() && which != name_of(variant)) continue;
    for (const Precision precision : precisions) {
      if (variant == Variant::simt && precision != Precision::float32) continue;
      test::check_variant(variant, precision);
    }
    if (variant == Variant::wgmma) test::check_wide_wgmma();
  }
  return test::failures();
}
