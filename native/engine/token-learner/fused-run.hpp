// Helpers of the fused CPU engines: their errors, the bound of inline runs, and the conversion of outputs.
#pragma once

#include <cstddef>
#include <string>

#include "engine/error.hpp"
#include "engine/memory/copy.hpp"
#include "engine/token-learner/engine.hpp"
#include "kernels/status.hpp"

namespace tokenlearner {

/// Throws ERR_OUT_OF_MEMORY or ERR_ENGINE_UNSUPPORTED unless the kernels succeeded.
inline void check_fused(kernels::Status status) {
  using kernels::Status;
  if (status == Status::ok) return;
  throw Error(
      status == Status::out_of_memory ? ErrorCode::ERR_OUT_OF_MEMORY : ErrorCode::ERR_ENGINE_UNSUPPORTED,
      std::string("The fused CPU engine answered: ") + name_of(status));
}

/// The maximum number of multiply-adds of an inline run: about ten microseconds.
constexpr double kInlineWork = 1 << 19;

/// Output `i` in the dtype of the request.
inline Tensor converted(const Tensor& output, std::size_t i, DType dtype, const ForwardOptions& options) {
  if (output.dtype == dtype) return output;
  const Tensor result = options.result(i, output.shape, dtype);
  copy_into(result, output);
  return result;
}

}  // namespace tokenlearner
