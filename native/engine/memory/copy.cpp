#include "engine/memory/copy.hpp"

#include <string>

#include "engine/error.hpp"
#include "kernels/cpu/copy.hpp"

namespace tokenlearner {

Tensor copied(const Tensor& source, DType dtype) {
  const Tensor target = Tensor::empty(source.shape, dtype);
  copy_into(target, source);
  return target;
}

void copy_into(const Tensor& target, const Tensor& source) {
  if (target.shape != source.shape || !target.device().is_cpu() || !source.device().is_cpu())
    throw Error(ErrorCode::ERR_SHAPE_MISMATCH, "A copy in host memory needs two tensors of one shape there");
  kernels::CopyParams params;
  params.source = source.data();
  params.source_dtype = source.dtype;
  params.target = target.data();
  params.target_dtype = target.dtype;
  params.rank = static_cast<int>(source.shape.size());
  params.shape = source.shape.data();
  params.source_strides = source.strides.data();
  params.target_strides = target.strides.data();
  const kernels::Status status = kernels::strided_copy(params);
  if (status != kernels::Status::ok)
    throw Error(ErrorCode::ERR_INVALID_ARG_VALUE,
                std::string("A copy in host memory answered: ") + name_of(status));
}

}  // namespace tokenlearner
