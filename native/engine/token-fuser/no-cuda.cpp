// For builds without CUDA kernels. There, CUDA devices use libtorch.

#include "engine/error.hpp"
#include "engine/token-fuser/engine.hpp"

namespace tokenlearner {

std::unique_ptr<TokenFuserEngine> make_fused_cuda_fuser_engine(const TokenFuserConfig&,
                                                               const std::vector<Tensor>&) {
  throw Error(ErrorCode::ERR_ENGINE_UNSUPPORTED, "This addon was built without CUDA kernels");
}

}  // namespace tokenlearner
