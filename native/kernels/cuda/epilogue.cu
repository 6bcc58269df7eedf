// Launchers of epilogue-body.hpp.
#include "kernels/cuda/device-machine.cuh"
#include "kernels/cuda/epilogue-body.hpp"
#include "kernels/cuda/launch-check.hpp"
#include "kernels/cuda/launch.hpp"

namespace tokenlearner::kernels::cuda {
namespace {

template <GeluForm kForm>
__global__ void __launch_bounds__(kEpilogueThreads) epilogue(EpilogueArgs args) {
  DeviceMachine machine;
  epilogue_body<kForm>(machine, args);
}

template <GeluForm kForm>
Status launch(const EpilogueArgs& args, std::int64_t groups, void* stream) {
  return launch_kernel(epilogue<kForm>, ceil_div<std::int64_t>(args.columns, kEpilogueColumns), groups, 1,
                       kEpilogueThreads, kEpilogueSharedBytes, args, stream);
}

}  // namespace

Status launch_epilogue(Precision precision, const EpilogueArgs& args, std::int64_t groups, void* stream) {
  switch (gelu_form(precision)) {
    case GeluForm::accurate:
      return launch<GeluForm::accurate>(args, groups, stream);
    case GeluForm::fine:
      return launch<GeluForm::fine>(args, groups, stream);
    case GeluForm::medium:
      return launch<GeluForm::medium>(args, groups, stream);
    case GeluForm::coarse:
      return launch<GeluForm::coarse>(args, groups, stream);
  }
  return Status::invalid_argument;
}

}  // namespace tokenlearner::kernels::cuda
