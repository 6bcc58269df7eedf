// What the engine answers in a build without CUDA kernels: grouped-conv serves CUDA devices there.

#include "engine/error.hpp"
#include "engine/token-learner/engine.hpp"

namespace tokenlearner {

std::string hindrance_on_cuda(DType, Device) { return "this addon was built without CUDA kernels"; }

std::unique_ptr<TokenLearnerEngine> make_fused_cuda_engine(const TokenLearnerConfig&,
                                                           const std::vector<Tensor>&) {
  throw Error(ErrorCode::ERR_ENGINE_UNSUPPORTED, "This addon was built without CUDA kernels");
}

}  // namespace tokenlearner
