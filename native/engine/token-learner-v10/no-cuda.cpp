// For builds without CUDA kernels. There, CUDA devices use libtorch.

#include "engine/error.hpp"
#include "engine/token-learner-v10/engine.hpp"

namespace tokenlearner {

std::unique_ptr<TokenLearnerEngine> make_fused_cuda_v10_engine(const TokenLearnerV10Config&,
                                                               const std::vector<Tensor>&) {
  throw Error(ErrorCode::ERR_ENGINE_UNSUPPORTED, "This addon was built without CUDA kernels");
}

}  // namespace tokenlearner
