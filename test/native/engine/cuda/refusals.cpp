#include "engine/cuda/refusals.hpp"

#include <doctest.h>

using namespace tokenlearner;

TEST_SUITE_BEGIN("engine/refusals");

TEST_CASE("each device lists a refusal once, in the order of arrival") {
  const Device first = Device::cuda(0), second = Device::cuda(1);
  note_refusal(first, {"wgmma bfloat16", "no code"});
  note_refusal(first, {"mma bfloat16", "no code"});
  note_refusal(first, {"wgmma bfloat16", "no code"});
  note_refusal(first, {"wgmma bfloat16", "a large size"});
  note_refusal(second, {"small tf32", "no code"});
  const std::vector<Refusal> expected{
      {"wgmma bfloat16", "no code"}, {"mma bfloat16", "no code"}, {"wgmma bfloat16", "a large size"}};
  CHECK(refusals(first) == expected);
  CHECK(refusals(second) == std::vector<Refusal>{{"small tf32", "no code"}});
  CHECK(refusals(Device::cuda(2)).empty());
}

TEST_SUITE_END();
