// For builds without CUDA kernels. There, CUDA devices use grouped-conv.

#include "engine/error.hpp"
#include "engine/token-learner/engine.hpp"

namespace tokenlearner {

std::string unsupported_reason_on_cuda(DType, Device) { return "this addon was built without CUDA kernels"; }

std::unique_ptr<TokenLearnerEngine> make_fused_cuda_engine(const TokenLearnerConfig&,
                                                           const std::vector<Tensor>&) {
  throw Error(ErrorCode::ERR_ENGINE_UNSUPPORTED, "This addon was built without CUDA kernels");
}

}  // namespace tokenlearner
